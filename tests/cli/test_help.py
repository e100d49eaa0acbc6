"""Every command, argument and option says what it is for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
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


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_has_help(path: str) -> None:
    command = COMMANDS[path]
    assert command.help, f"{path} has no help"
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{path}: {parameter.name} has no help"
