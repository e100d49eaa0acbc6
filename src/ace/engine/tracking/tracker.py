"""The protocol of trackers, and the thread in which each works."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from ace._util.masking import mask
from ace.engine.events import Event

MOST_QUEUED = 100_000
"""Events that may wait for a tracker. Further ones are dropped, and counted as failures."""


class Tracker(Protocol):
    """Shows a run in another tool. Its methods may block and may raise anything: they run in a thread of their own."""

    def handle(self, event: Event, at: float) -> None:
        """Process `event`, which happened at Unix time `at`."""

    def close(self) -> None:
        """Send what is buffered. Called once, also after an error."""


class TrackerThread:
    """Gives events to one tracker in a daemon thread, and counts its failures. Never blocks or raises."""

    def __init__(self, name: str, create: Callable[[], Tracker]) -> None:
        """`create` makes the tracker in the thread, because its imports are slow and may fail."""
        self.name = name
        self.failures = 0
        self.first_error = ""
        self._create = create
        self._queue: queue.Queue[tuple[Event, float] | None] = queue.Queue(MOST_QUEUED)
        self._thread = threading.Thread(target=self._work, name=f"ace-tracker-{name}", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Queue `event` with the time of this moment."""
        self._put((event, time.time()))

    def close(self, deadline: float) -> None:
        """Wait for the tracker until `deadline` (monotonic clock), then abandon it."""
        self._put(None)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._fail(TimeoutError(f"it did not finish in time, {self._queue.qsize()} events were left"))

    def _put(self, item: tuple[Event, float] | None) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._fail(OverflowError(f"{MOST_QUEUED} events wait for it already"))

    def _work(self) -> None:
        try:
            tracker = self._create()
        except BaseException as error:  # whatever a package raises ends in its thread
            self._fail(error)
            return
        while (item := self._queue.get()) is not None:
            with self._failures_recorded():
                tracker.handle(*item)
        with self._failures_recorded():
            tracker.close()

    @contextlib.contextmanager
    def _failures_recorded(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # also a SystemExit of the package: it must not end the thread
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failures += 1
        self.first_error = self.first_error or mask(f"{type(error).__name__}: {error}")
