"""The trackers of a run's settings as a listener around the run's own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib.util import find_spec

from ace._util.extras import missing_package
from ace._util.install_commands import install_command
from ace.config import RunSettings
from ace.engine.events import Event, Listener, TrackerFailed
from ace.engine.tracking.tracker import Tracker, TrackerThread

Factory = Callable[[RunSettings], Tracker]


def _mlflow(settings: RunSettings) -> Tracker:
    from ace.engine.tracking.metrics_tracker import MetricsTracker
    from ace.engine.tracking.mlflow_sink import MlflowSink

    assert settings.tracking.mlflow is not None
    return MetricsTracker(MlflowSink(settings.tracking.mlflow), settings)


def _wandb(settings: RunSettings) -> Tracker:
    from ace.engine.tracking.metrics_tracker import MetricsTracker
    from ace.engine.tracking.wandb_sink import WandbSink

    assert settings.tracking.wandb is not None
    return MetricsTracker(WandbSink(settings.tracking.wandb), settings)


def _otel(settings: RunSettings) -> Tracker:
    from ace.engine.tracking.otel_tracker import OtelTracker

    assert settings.tracking.otel is not None
    return OtelTracker(settings.tracking.otel, settings)


_TRACKERS: dict[str, tuple[tuple[str, ...], Factory]] = {
    "mlflow": (("mlflow", "alembic"), _mlflow),
    "wandb": (("wandb",), _wandb),
    "otel": (("opentelemetry.sdk",), _otel),
}
"""The packages and the factory of each tracker, by its key under `tracking`, which is also its extra."""


@contextlib.asynccontextmanager
async def observed(settings: RunSettings, listener: Listener) -> AsyncIterator[Listener]:
    """Give every event to `listener` and to the trackers of `settings`, until the block ends.

    ProviderMissingError where a tracker's package is not installed. What a tracker raises later becomes a
    `TrackerFailed` for `listener`.
    """
    names = [name for name in _TRACKERS if getattr(settings.tracking, name) is not None]
    for name in names:
        _check_packages(name)
    if not names:
        yield listener
        return
    observers = Observers(settings, names, listener)
    try:
        yield observers
    finally:
        await asyncio.to_thread(observers.close)
        observers.report(every=True)


class Observers:
    """A listener that passes events on at once, and to each tracker in a thread of its own."""

    def __init__(self, settings: RunSettings, names: list[str], listener: Listener) -> None:
        self._listener = listener
        self._timeout_s = settings.tracking.timeout_s
        self._threads = [TrackerThread(name, partial(_TRACKERS[name][1], settings)) for name in names]
        self._reported: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        self.report()
        for thread in self._threads:
            thread.put(event)
        self._listener(event)

    def close(self) -> None:
        """Wait for all trackers, `tracking.timeout_s` seconds in total."""
        deadline = time.monotonic() + self._timeout_s
        for thread in self._threads:
            thread.close(deadline)

    def report(self, *, every: bool = False) -> None:
        """Give the first failure of each tracker to the listener; with `every`, also the number of all failures."""
        for thread in self._threads:
            reported = self._reported.get(thread.name, 0)
            if thread.failures > reported and (every or not reported):
                self._reported[thread.name] = thread.failures
                self._listener(TrackerFailed(thread.name, thread.first_error, thread.failures))


def _check_packages(name: str) -> None:
    for module in _TRACKERS[name][0]:
        if find_spec(module.partition(".")[0]) is None or find_spec(module) is None:
            package = module.partition(".")[0]
            raise missing_package(f"tracking.{name} needs", package, provider=name, command=install_command(name))
