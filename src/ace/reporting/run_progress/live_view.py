"""Progress of a run on a terminal: bars, and below them what it has learned so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from ace.engine.events import (
    BatchCommitted,
    BatchStarted,
    CallFinished,
    EvaluationFinished,
    EvaluationProgress,
    EvaluationStarted,
    Event,
    RunStarted,
    SampleFinished,
)
from ace.reporting.run_progress.event_lines import describe
from ace.reporting.run_progress.event_totals import Tally
from ace.reporting.text import UNKNOWN, cell, percent, seconds, visible

WIDE = 105
"""Columns of a terminal from which on there is room for a bar beside the numbers."""
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "_.-=#"
MOST_POINTS = 32
"""Batches of a sparkline, the last ones."""


class LiveView:
    """One bar for the adaptation and one for the current evaluation; finished evaluations become lines above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        bar = [BarColumn(bar_width=24)] if console.width >= WIDE else []
        self._bars = _Board(
            self._board_lines,
            SpinnerColumn(),
            TextColumn("{task.description:<10}", markup=False, table_column=Column(no_wrap=True, min_width=10)),
            *bar,
            TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
        )
        self._starting: TaskID | None = None
        self._adapting: TaskID | None = None
        self._evaluating: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        self._starting = self._bars.add_task("engine", total=None, note="starting")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        self._tally.add(event)
        if not isinstance(event, BatchCommitted) and (line := describe(event, self._tally)) is not None:
            self._console.print(cell(line), soft_wrap=True)
        match event:
            case RunStarted():
                self._remove(self._starting)
                self._starting = None
            case EvaluationStarted(label=label, samples=samples):
                self._evaluating = self._bars.add_task(visible(label), total=samples, note="")
            case EvaluationProgress(done=done, samples=samples, correct=correct):
                if self._evaluating is not None:
                    note = f"{done}/{samples} samples  {percent(correct / done)} right{self._rates()}"
                    self._bars.update(self._evaluating, completed=done, note=note)
            case EvaluationFinished():
                self._remove(self._evaluating)
                self._evaluating = None
            case BatchStarted() | SampleFinished() | CallFinished() | BatchCommitted():
                self._show_adaptation(event)
            case _:
                pass

    def _show_adaptation(self, event: Event) -> None:
        tally = self._tally
        if isinstance(event, BatchStarted) and self._adapting is None:
            self._adapting = self._bars.add_task("adaptation", total=tally.batches, note="")
        if self._adapting is None:
            return
        note = (
            f"{min(tally.batches_done + 1, tally.batches)}/{tally.batches}  {tally.samples_done} samples  "
            f"{percent(tally.accuracy)} right{self._rates()}  {seconds(tally.seconds_left)} left"
        )
        self._bars.update(self._adapting, completed=tally.progress, note=note)
        if tally.batches_done == tally.batches:
            self._remove(self._adapting)
            self._adapting = None

    def _rates(self) -> str:
        speed = self._tally.tokens_per_s
        rate = UNKNOWN if speed is None else f"{speed:.0f}"
        return f"  {rate} tokens/s  cache {percent(self._tally.cache_hit_rate)}"

    def _remove(self, task: TaskID | None) -> None:
        if task is not None:
            self._bars.remove_task(task)

    def _board_lines(self) -> Iterator[Text]:
        """Say in lines below the bars what the run has learned so far."""
        tally = self._tally
        if tally.curve:
            levels = BLOCKS if self._console.encoding.startswith("utf") else ASCII_LEVELS
            ends = f"  {percent(tally.curve[0])} to {percent(tally.curve[-1])} right at first"
            yield _row("curve", sparkline(tally.curve, levels) + ends)
        if tally.calls:
            yield _row("calls", ", ".join(f"{role} {number}" for role, number in sorted(tally.calls.items())))
        if tally.insight:
            yield _row("insight", tally.insight)
        for text in tally.newest:
            yield _row("bullet", text)


class _Board(Progress):
    """Progress bars with lines below them."""

    def __init__(self, lines: Callable[[], Iterable[Text]], *columns: ProgressColumn, **options: Any) -> None:
        self._lines = lines
        super().__init__(*columns, **options)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield from self._lines()


def sparkline(shares: Sequence[float], levels: str = BLOCKS) -> str:
    """One character for each of the last shares in [0, 1], higher for more."""
    return "".join(levels[round(share * (len(levels) - 1))] for share in shares[-MOST_POINTS:])


def _row(name: str, text: str) -> Text:
    line = Text(f"  {name:<10}", style="dim")
    line.append(visible(text), style="default")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
