"""Progress of a run: bars on a terminal, plain lines everywhere else, or nothing but problems."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Protocol, Self

from rich.console import Console

from ace.engine.events import (
    BudgetReached,
    BulletFlagged,
    CallFailed,
    CurationFailed,
    Event,
    RunPaused,
    RunStopping,
)
from ace.reporting.run_progress.event_lines import describe, describe_activity
from ace.reporting.run_progress.event_totals import Tally
from ace.reporting.run_progress.live_view import LiveView
from ace.reporting.text import cell

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


class PlainView:
    """One line for each event, and one on what runs after `every_s` seconds without any."""

    def __init__(self, console: Console, *, every_s: float = 20.0) -> None:
        self._console = console
        self._tally = Tally()
        self._every_s = every_s
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._last_line = time.monotonic()
        # A thread of its own: an engine in this process may keep the event loop busy.
        self._watch = threading.Thread(target=self._print_activity, name="ace-progress", daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._watch.join()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._tally.add(event)
            line = describe(event, self._tally)
            if line is not None:
                self._print(line)

    def _print_activity(self) -> None:
        wait = self._every_s
        while not self._closed.wait(wait):
            with self._lock:
                if time.monotonic() - self._last_line >= self._every_s:
                    self._print(describe_activity(self._tally))
                wait = self._last_line + self._every_s - time.monotonic()

    def _print(self, line: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(cell(line), soft_wrap=True)


class QuietView:
    """Only what went wrong, and what somebody has to do."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event) -> None:
        self._tally.add(event)
        problem = isinstance(
            event, CallFailed | CurationFailed | BulletFlagged | BudgetReached | RunPaused | RunStopping
        )
        if problem and (line := describe(event, self._tally)) is not None:
            self._console.print(cell(line), soft_wrap=True)
