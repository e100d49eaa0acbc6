"""Progress of a run: live bars on a terminal, plain lines everywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column

from ace.engine.events import (
    BackendAdjusted,
    BatchCommitted,
    BatchStarted,
    BudgetReached,
    BulletFlagged,
    CallFailed,
    CallFinished,
    CurationFailed,
    EngineReady,
    EngineStartDeferred,
    EvaluationFinished,
    EvaluationProgress,
    EvaluationStarted,
    Event,
    RunContinued,
    RunFinished,
    RunPaused,
    RunStarted,
    RunStopping,
    SampleFinished,
)
from ace.engine.failures import failure_kind
from ace.reporting.event_totals import Tally
from ace.reporting.text import UNKNOWN, by_type, cell, percent, seconds, visible

WIDE = 105
"""Columns of a terminal from which on there is room for a bar beside the numbers."""
MOST_KINDS = 20
"""Kinds of failures that are shown when they first happen; the summary counts all of them."""


class View(Protocol):
    """A listener that is open during the run."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, event: Event) -> None: ...


def progress_view(console: Console) -> View:
    """The view that fits `console`."""
    return LiveView(console) if console.is_terminal else PlainView(console)


class LiveView:
    """One bar for the adaptation and one for the current evaluation; finished evaluations become lines above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        bar = [BarColumn(bar_width=24)] if console.width >= WIDE else []
        self._bars = Progress(
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


class PlainView:
    """One line for each event, and at least one line every `every_s` seconds of an evaluation."""

    def __init__(self, console: Console, *, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._tally = Tally(clock)
        self._every_s = every_s
        self._clock = clock
        self._last_line = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event) -> None:
        self._tally.add(event)
        line = describe(event, self._tally)
        if line is None and isinstance(event, EvaluationProgress) and self._clock() - self._last_line >= self._every_s:
            line = f"{event.label}: {event.done}/{event.samples} samples, {event.correct} right so far"
        if line is not None:
            self._last_line = self._clock()
            self._console.print(cell(line), soft_wrap=True)


def describe(event: Event, tally: Tally) -> str | None:
    """Describe an event in one line. None for events that only move a bar."""
    match event:
        case EngineReady(provider, model, device, start_s, reason, memory):
            size = f", {memory / (1 << 30):.2f} GiB of weights and KV cache" if memory else ""
            why = f" ({reason})" if reason else ""
            return f"engine: {provider} with {model} on {device}, started in {seconds(start_s)}{size}{why}"
        case EngineStartDeferred(provider, model):
            return f"engine: {provider} with {model} starts with the first call that the completion cache cannot answer"
        case RunStarted(run, mode, samples, batches, resumed_at):
            resumed = f", resumed after batch {resumed_at}" if resumed_at else ""
            work = f", {samples} samples in {batches} batches" if batches else ""
            return f"run {run}: {mode}{work}{resumed}"
        case BatchCommitted(index, epoch, first, corrected, failed, samples, version, bullets, operations, skipped):
            failures = f", {failed} failed" if failed else ""
            mended = f", {corrected} after reflection" if corrected else ""
            speed = tally.tokens_per_s
            return (
                f"batch {index + 1}/{tally.batches} (epoch {epoch + 1}): {first}/{samples} right{mended}{failures}; "
                f"playbook v{version}, {bullets} bullets ({by_type(operations)}){_not_done(skipped)}; "
                f"{UNKNOWN if speed is None else f'{speed:.0f}'} tokens/s, "
                f"cache hits {percent(tally.cache_hit_rate)}, {seconds(tally.seconds_left)} left"
            )
        case EvaluationFinished(label, split, samples, correct, failed, accuracy, version):
            failures = f", {failed} failed" if failed else ""
            return f"{label}: {percent(accuracy)} ({correct}/{samples} of {split}{failures}) with playbook v{version}"
        case CallFailed(role, error):
            first = tally.failures[failure_kind(error)] == 1 and len(tally.failures) <= MOST_KINDS
            return f"{role} call failed: {error}" if first else None
        case BackendAdjusted(note):
            return f"note: {note}"
        case CurationFailed(batch, group, error):
            return f"batch {batch + 1}: the insights of curator group {group + 1} are lost: {error}"
        case BudgetReached(run, reason):
            return f"{reason}; nothing is lost: ace resume {run} --set budget.KEY=MORE"
        case BulletFlagged(batch, bullet, reasons, quarantined):
            fate = "is quarantined" if quarantined else "is in the playbook all the same"
            return f"batch {batch + 1}: guard: {bullet} {fate}: {'; '.join(reasons)}"
        case RunPaused(run):
            return f"run {run}: paused; it goes on when somebody says so"
        case RunContinued(run):
            return f"run {run}: goes on"
        case RunStopping(run):
            return f"run {run}: stopping, as somebody asked"
        case RunFinished(run, status):
            return f"run {run}: {status}"
        case _:
            return None


def _not_done(skipped: Mapping[str, int]) -> str:
    """Number of operations that were not carried out, with the most frequent reasons."""
    if not skipped:
        return ""
    often = sorted(skipped.items(), key=lambda item: -item[1])[:3]
    reasons = "; ".join(f"{number} x {reason[:100]}" for reason, number in often)
    return f", {sum(skipped.values())} not carried out: {reasons}"
