"""Every command, argument and option says what it is for."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from ace.cli.main import app


def _commands(command: Any, path: str = "ace") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, f"{path} {name}")


COMMANDS = dict(_commands(typer.main.get_command(app)))


def test_the_commands_are_the_listed_ones() -> None:
    assert {
        "ace quickstart",
        "ace run",
        "ace eval",
        "ace resume",
        "ace runs",
        "ace show",
        "ace doctor",
        "ace playbook show",
        "ace playbook diff",
        "ace playbook export",
        "ace playbook import",
    } <= COMMANDS.keys()


def test_every_command_and_option_has_help() -> None:
    assert [path for path, command in COMMANDS.items() if not command.help] == []
    parameters = [(path, parameter) for path, command in COMMANDS.items() for parameter in command.params]
    assert [f"{path} {each.name}" for path, each in parameters if not getattr(each, "help", None)] == []


def test_python_runs_the_command_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "ace", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.lstrip().startswith("Usage: ace ")


def test_the_help_texts_in_the_docs_are_the_current_ones() -> None:
    root = Path(__file__).parents[2]
    help_texts = runpy.run_path(str(root / "scripts" / "help_texts.py"))["help_texts"]
    assert help_texts() == (root / "docs" / "cli.md").read_text(encoding="utf-8"), "write them anew with: make docs"
