"""Progress of a long measurement on stderr: a bar on a terminal, a line for each quarter everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[], None]]:
    """Gives a function to be called whenever one of `total` calls is answered."""
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    done = 0
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(name, total=total)

        def advance() -> None:
            nonlocal done
            done += 1
            bars.advance(task)
            if not console.is_terminal and done * 4 // total > (done - 1) * 4 // total:
                console.print(f"{name}: {done} of {total} calls", markup=False, soft_wrap=True)

        yield advance
