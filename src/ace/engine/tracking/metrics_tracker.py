"""A run as settings, metrics by step, tags and artifacts, for experiment trackers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from ace.config import RunSettings
from ace.engine.events import (
    BatchCommitted,
    CallFailed,
    CallFinished,
    EvaluationFinished,
    Event,
    RunFinished,
    RunStarted,
)
from ace.playbook import Playbook, dumps
from ace.store import RunStore
from ace.types import Usage


class MetricSink(Protocol):
    """One run in an experiment tracker. Every method may block and may raise anything."""

    def start(self, run: str, name: str, settings: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Create the run, or continue the one that was created for `run` before."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record `metrics` at `step`, which never decreases."""

    def add_artifact(self, name: str, texts: Mapping[str, str]) -> None:
        """Keep `texts`, by file name, as the artifact `name`."""

    def finish(self, status: str) -> None:
        """End the run with a status of `ace.store`."""


class MetricsTracker:
    """Turns events into metrics. A step is a committed batch; step 0 is what came before the first one.

    Playbooks and the summary are read from the store when they are committed.
    """

    def __init__(self, sink: MetricSink, settings: RunSettings) -> None:
        self._sink, self._settings = sink, settings
        self._run = ""
        self._step = 0
        self._version: int | None = None
        self._usage: defaultdict[str, Usage] = defaultdict(Usage)
        self._calls: defaultdict[str, int] = defaultdict(int)
        self._failed_calls = 0

    def handle(self, event: Event, at: float) -> None:
        match event:
            case RunStarted(run=run, resumed_at=resumed_at):
                self._step = resumed_at
                tags = {"ace.run": run, **self._settings.tracking.tags}
                values = self._settings.model_dump(mode="json", exclude={"tracking"})
                self._sink.start(run, self._settings.name, dict(_flat(values)), tags)
                self._run = run
            case _ if not self._run:
                pass  # there is no run in the tracker yet, or none could be created
            case CallFinished(role=role, usage=usage, from_cache=False):
                self._calls[role] += 1
                self._usage[role] += usage
            case CallFailed():
                self._failed_calls += 1
            case EvaluationFinished(label=label, accuracy=accuracy, failed=failed):
                self._sink.log({f"{label}/accuracy": accuracy, f"{label}/failed": failed}, self._step)
            case BatchCommitted():
                self._step = event.index + 1
                self._sink.log({**_batch_metrics(event), **self._call_metrics()}, self._step)
                if self._settings.tracking.playbooks == "all" and event.playbook_version != self._version:
                    self._version = event.playbook_version
                    self._keep_playbook(event.playbook_version)
            case RunFinished(status=status):
                self._finish(status)
            case _:
                pass

    def close(self) -> None:
        if self._run:  # the run ended without an event
            self._sink.finish("failed")

    def _finish(self, status: str) -> None:
        run, self._run = self._run, ""
        try:
            with RunStore.open(self._settings.store, create=False) as store:
                stored = store.run(run)
                playbook = store.playbook(run, stored.best_version)
            if stored.summary is not None:
                self._sink.log(_numbers(stored.summary), self._step)
                self._sink.add_artifact("summary", {"summary.json": json.dumps(stored.summary, indent=2)})
            self._sink.add_artifact("playbook", _files("playbook", playbook))
        finally:
            self._sink.finish(status)

    def _keep_playbook(self, version: int) -> None:
        with RunStore.open(self._settings.store, create=False) as store:
            playbook = store.playbook(self._run, version)
        self._sink.add_artifact("playbook", _files(f"v{version:05}", playbook))

    def _call_metrics(self) -> dict[str, float]:
        metrics: dict[str, float] = {"calls/failed": self._failed_calls}
        for role, usage in self._usage.items():
            metrics[f"calls/{role}"] = self._calls[role]
            metrics[f"tokens/{role}/prompt"] = usage.prompt_tokens
            metrics[f"tokens/{role}/cached"] = usage.cached_tokens
            metrics[f"tokens/{role}/completion"] = usage.completion_tokens
        return metrics


def _batch_metrics(event: BatchCommitted) -> dict[str, float]:
    return {
        "batch/accuracy_first": event.first_correct / event.samples,
        "batch/accuracy_after_reflection": (event.first_correct + event.corrected) / event.samples,
        "batch/failed": event.failed,
        "batch/epoch": event.epoch,
        "playbook/version": event.playbook_version,
        "playbook/bullets": event.bullets,
        **{f"playbook/{kind.lower()}": number for kind, number in event.operations.items()},
        "playbook/skipped": sum(event.skipped.values()),
    }


def _files(name: str, playbook: Playbook) -> dict[str, str]:
    return {f"{name}.json": dumps(playbook, "json"), f"{name}.md": dumps(playbook, "markdown")}


def _numbers(summary: Mapping[str, Any]) -> dict[str, float]:
    """The numbers at the top of a summary, under `summary/`."""
    return {
        f"summary/{key}": float(value)
        for key, value in summary.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield settings by dotted key, as texts, without those that are None."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)
