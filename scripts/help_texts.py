"""Write the help texts of the command `ace` to docs/cli.md: `python scripts/help_texts.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from ace.cli.main import app

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
HEAD = "# The command `ace`\n\nWritten by `make docs`; a test compares it with what the commands say.\n"


def help_texts() -> str:
    """All help texts as one Markdown page, 80 columns wide whatever the terminal."""
    runner = CliRunner(env={"COLUMNS": "80"})
    parts = [HEAD]
    for path in _paths(get_command(app), ()):
        said = runner.invoke(app, [*path, "--help"], prog_name="ace").stdout.strip()
        parts.append(f"## `{' '.join(('ace', *path))}`\n\n```text\n{said}\n```\n")
    return "\n".join(parts)


def _paths(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from _paths(below, (*path, name))


if __name__ == "__main__":
    TARGET.write_text(help_texts(), encoding="utf-8")
