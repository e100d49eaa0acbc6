"""Snippets of the README and the documentation.

YAML loads as settings, Python and JSON parse, commands exist, the quickstart runs.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from ace.cli.main import app
from ace.config import RunSettings, settings_from

ROOT = Path(__file__).resolve().parents[1]
MODEL = re.compile(r'"Qwen/Qwen2\.5-[\d.]+B-Instruct"')
DOCS = ROOT / "docs"
SCRIPTED = {"provider": "scripted", "model": "script"}
BASE: dict[str, Any] = {"task": {"name": "micro"}, "models": dict.fromkeys(("main", "small", "large"), SCRIPTED)}


def blocks(language: str) -> list[tuple[str, str]]:
    """Every block in this language, with the name of its page and its number there."""
    return [
        (f"{page.name}-{number}", text)
        for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
        for number, text in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S))
    ]


YAML, JSON, PYTHON, CONSOLE = blocks("yaml"), blocks("json"), blocks("python"), blocks("console")


@pytest.mark.parametrize("text", [text for _, text in YAML], ids=[name for name, _ in YAML])
def test_yaml_is_a_config_or_a_part_of_one(text: str) -> None:
    written: Any = yaml.safe_load(text)
    if not set(written) & set(RunSettings.model_fields):
        pytest.skip("another kind of file")
    models = {**BASE["models"], **written.get("models", {})}
    assert settings_from({**BASE, **written, "models": models}).models.keys() == models.keys()


@pytest.mark.parametrize("text", [text for _, text in JSON], ids=[name for name, _ in JSON])
def test_json_parses(text: str) -> None:
    assert json.loads(text)


@pytest.mark.parametrize("text", [text for _, text in PYTHON], ids=[name for name, _ in PYTHON])
def test_python_compiles(text: str) -> None:
    assert compile(text, "docs", "exec").co_names


def test_commands_exist() -> None:
    root: Any = typer.main.get_command(app)
    lines = [line for _, text in CONSOLE for line in re.findall(r"^\$ ace ([a-z-]+(?: [a-z-]+)?)", text, re.M)]
    assert len(lines) > 20
    for line in lines:
        first, _, second = line.partition(" ")
        assert first in root.commands, line
        group = root.commands[first]
        if second and hasattr(group, "commands") and not second.startswith("-"):
            assert second in group.commands, line


def run_documented(code: str, folder: Path) -> str:
    """Run `code` in `folder` and return what it prints."""
    assert MODEL.search(code)
    code = "from scripted_desk import answer\n" + MODEL.sub("ace.ScriptedBackend(answer)", code)
    path = os.pathsep.join(filter(None, (str(ROOT / "examples"), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_first_python_of_the_readme_adapts(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    assert run_documented(code, tmp_path).startswith("1.0 ['Tickets about ")


@pytest.mark.slow
@pytest.mark.parametrize("page", ["quickstart.md", "python.md"])
def test_the_python_of_a_page_for_newcomers_runs(page: str, tmp_path: Path) -> None:
    """With a scripted model in the place of the large one, on the page's own file where it has one."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for table in re.findall(r"```csv\n(.*?)```", text, re.DOTALL):
        assert len(list(csv.DictReader(io.StringIO(table)))) > 4
        (tmp_path / "tickets.csv").write_text(table, encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    printed = run_documented(code, tmp_path)
    assert ("0% -> 100%" if page == "quickstart.md" else "1.0\n") in printed
    assert "Tickets about " in printed


def test_every_page_is_in_the_sites_navigation() -> None:
    nav = re.findall(r"^ +- .*: ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert {page.name for page in DOCS.glob("*.md")} <= set(nav)
    assert len(nav) == len(set(nav))
