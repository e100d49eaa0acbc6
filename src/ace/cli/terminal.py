"""Output of commands: results on stdout, progress and errors on stderr, and the exit codes.

0 done; 2 wrong usage, settings, data or store; 3 a provider cannot do its work; 4 finished, with failed samples;
5 ended because its budget is spent; 130 interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from ace.errors import AceError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

FAILED_SAMPLES = 4
BUDGET_REACHED = 5
INTERRUPTED = 130
PIPE_WIDTH = 160
"""Columns of a table in a file or a pipe, which has no width of its own."""


class Commands(TyperGroup):
    """Turns errors of a command into a red line and an exit code. Only a bug in ace shows a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AceError as error:
            report(error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            from rich.text import Text

            message_console().print(Text("interrupted", style="yellow"))
            raise typer.Exit(INTERRUPTED) from None


def report(error: AceError) -> None:
    """Print the error in a red line, and its hint in another."""
    from rich.text import Text

    from ace.reporting.text import visible_lines

    console = message_console()
    console.print(Text(f"error: {visible_lines(error.message)}", style="red"), soft_wrap=True)
    if error.hint:
        console.print(Text(f"hint: {visible_lines(error.hint)}"), soft_wrap=True)


def message_console() -> Console:
    """Make a console for progress, messages and errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(text: str) -> None:
    """Print JSON to stdout as it is: no wrapping, no colour."""
    typer.echo(text.encode("utf-8", "backslashreplace").decode())


def show(*results: RenderableType) -> None:
    """Print results to stdout."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    for result in results:
        console.print(result, soft_wrap=isinstance(result, Text))
