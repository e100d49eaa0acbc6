"""Write the help texts of the command `ace` to docs/cli.md: `python scripts/help_texts.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from ace.cli.main import app

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
HEAD = "# The command `ace`\n\nWritten by `make docs`; a test compares it with what the commands say.\n"
WIDTH = 80


def help_texts() -> str:
    """All help texts as one Markdown page, 80 columns wide whatever the terminal."""
    parts = [HEAD]
    for context in _contexts(get_command(app), "ace"):
        parts.append(f"## `{context.command_path}`\n\n```text\n{context.get_help().strip()}\n```\n")
    return "\n".join(parts)


def _contexts(command: Any, name: str, parent: Any = None) -> Iterator[Any]:
    """The context of each command, as its help sees it."""
    settings = {**command.context_settings, "terminal_width": WIDTH}
    context = command.context_class(command, parent=parent, info_name=name, **settings)
    yield context
    for name_below, below in getattr(command, "commands", {}).items():
        yield from _contexts(below, name_below, context)


if __name__ == "__main__":
    TARGET.write_text(help_texts(), encoding="utf-8")
