"""What a benchmark's command gives: its report on the terminal and in files, which are written before its end, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.terminal import show

if TYPE_CHECKING:
    from ace.bench import Report

MarkdownPath = Annotated[
    Path | None,
    typer.Option("--markdown", dir_okay=False, help="Also write the table to this file.", show_default=False),
]


def give(report: Report, json_path: Path | None, markdown: Path | None) -> None:
    """Write what was asked for, and show the whole."""
    from rich.text import Text

    keeper(json_path, markdown)(report)
    show(Text(report.to_markdown()))


def keeper(json_path: Path | None, markdown: Path | None) -> Callable[[Report], None]:
    """Writes what was asked for, of a report that may not be whole yet."""

    def keep(report: Report) -> None:
        from ace._util.files import replace_file

        if json_path is not None:
            replace_file(json_path, json.dumps(report.to_json(), indent=2) + "\n")
        if markdown is not None:
            replace_file(markdown, report.to_markdown())

    return keep
