"""Reports as Markdown: the command that made them, the machine, then tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ace.bench.hardware.measured_machine import Machine


def report(command: str, machine: Machine, *parts: str) -> str:
    """A report of `parts`, each a line of text or a table, below the command and the machine."""
    return "\n\n".join([f"`{command}`", str(machine), *parts]) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "|" + "|".join(cells) + "|" if cells[0] == "---" else f"| {' | '.join(cells)} |" for cells in lines
    )
