"""Progress of a run: bars on a terminal, plain lines everywhere else, or nothing but problems."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Protocol, Self

from rich.console import Console

from ace.engine.events import (
    BudgetReached,
    BulletFlagged,
    CallFailed,
    CallFinished,
    CurationFailed,
    EvaluationProgress,
    Event,
    RunPaused,
    RunStopping,
    SampleFinished,
)
from ace.reporting.run_progress.event_lines import describe
from ace.reporting.run_progress.event_totals import Tally
from ace.reporting.run_progress.live_view import LiveView
from ace.reporting.text import UNKNOWN, cell, seconds

ProgressMode = Literal["auto", "live", "plain", "quiet"]
"""`auto` is live on a terminal and plain elsewhere."""


class View(Protocol):
    """A listener that is open during the run."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, event: Event) -> None: ...


def progress_view(console: Console, mode: ProgressMode = "auto") -> View:
    """The view of this mode on `console`."""
    if mode == "auto":
        mode = "live" if console.is_terminal else "plain"
    views: dict[ProgressMode, Callable[[Console], View]] = {"live": LiveView, "plain": PlainView, "quiet": QuietView}
    return views[mode](console)


class _LineView:
    """A view that only prints: there is nothing to open or to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class PlainView(_LineView):
    """One line for each event, and at least one line every `every_s` seconds in which calls are answered."""

    def __init__(self, console: Console, *, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._tally = Tally(clock)
        self._every_s = every_s
        self._clock = clock
        self._last_line = clock()

    def __call__(self, event: Event) -> None:
        self._tally.add(event)
        line = describe(event, self._tally)
        if line is None and self._clock() - self._last_line >= self._every_s:
            line = self._sign_of_life(event)
        if line is not None:
            self._last_line = self._clock()
            self._console.print(cell(line), soft_wrap=True)

    def _sign_of_life(self, event: Event) -> str | None:
        tally = self._tally
        match event:
            case EvaluationProgress(label=label, done=done, samples=samples, correct=correct):
                return f"{label}: {done}/{samples} samples, {correct} right so far"
            case SampleFinished() | CallFinished():
                speed = tally.tokens_per_s
                return (
                    f"{sum(tally.calls.values())} calls, {tally.samples_done} samples in {tally.batches_done} of "
                    f"{tally.batches} batches; {UNKNOWN if speed is None else f'{speed:.0f}'} tokens/s, "
                    f"{seconds(tally.seconds_left)} left"
                )
            case _:
                return None


class QuietView(_LineView):
    """Only what went wrong, and what somebody has to do."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()

    def __call__(self, event: Event) -> None:
        self._tally.add(event)
        problem = isinstance(
            event, CallFailed | CurationFailed | BulletFlagged | BudgetReached | RunPaused | RunStopping
        )
        if problem and (line := describe(event, self._tally)) is not None:
            self._console.print(cell(line), soft_wrap=True)
