"""What an experiment tracker gets of a run, recorded by a sink; the packages' own sinks have tests of their own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from micro_runs import all_roles, micro_backend, settings

from ace.engine import Event, RunSummary, run
from ace.engine.tracking.metrics_tracker import MetricsTracker
from ace.errors import EngineDeadError
from ace.inference import ScriptedBackend


class RecordingSink:
    """A run in a tracker as lists."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str]] = []
        self.settings: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.logged: list[tuple[dict[str, float], int]] = []
        self.artifacts: dict[str, str] = {}
        self.statuses: list[str] = []

    def start(self, run: str, name: str, settings: Mapping[str, str], tags: Mapping[str, str]) -> None:
        self.runs.append((run, name))
        self.settings, self.tags = dict(settings), dict(tags)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self.logged.append((dict(metrics), step))

    def add_artifact(self, name: str, texts: Mapping[str, str]) -> None:
        self.artifacts.update({f"{name}/{file}": text for file, text in texts.items()})

    def finish(self, status: str) -> None:
        self.statuses.append(status)

    def values(self, metric: str) -> list[tuple[float, int]]:
        return [(metrics[metric], step) for metrics, step in self.logged if metric in metrics]


def track(folder: Path, backend: ScriptedBackend, sink: RecordingSink, **changes: object) -> RunSummary:
    chosen = settings(folder, **changes)
    tracker = MetricsTracker(sink, chosen)

    def listen(event: Event) -> None:
        tracker.handle(event, time.time())

    try:
        return asyncio.run(run(chosen, backends=all_roles(backend), listener=listen))
    finally:
        tracker.close()


def test_settings_metrics_and_playbooks_of_a_run(tmp_path: Path) -> None:
    sink = RecordingSink()
    summary = track(tmp_path, micro_backend(), sink, tracking={"tags": {"team": "blue"}, "playbooks": "all"})
    assert (sink.runs, sink.statuses) == ([(summary.run, "test")], ["done"])
    assert sink.settings["adaptation.batch_size"] == "2" and sink.settings["task.name"] == "micro"
    assert not any(key.startswith("tracking") for key in sink.settings)
    assert sink.tags == {"ace.run": summary.run, "team": "blue"}
    assert sink.values("before/accuracy") == [(summary.accuracy_before, 0)]
    assert sink.values("after/accuracy") == [(summary.accuracy_after, 3)]
    assert [step for _, step in sink.values("playbook/bullets")] == [1, 2, 3]
    assert sink.values("playbook/bullets")[-1][0] == summary.playbook_bullets
    generated, reflected = (sink.values(f"calls/{role}")[-1][0] for role in ("generator", "reflector"))
    assert 0 < reflected < generated <= summary.calls["generator"]
    assert sink.values("calls/failed")[-1][0] == 0
    assert sink.values("summary/samples") == [(summary.samples, 3)]
    assert {"playbook/playbook.json", "playbook/playbook.md", "playbook/v00001.json"} <= sink.artifacts.keys()
    assert json.loads(sink.artifacts["summary/summary.json"])["run"] == summary.run


def test_only_the_last_playbook_is_kept_by_default(tmp_path: Path) -> None:
    sink = RecordingSink()
    track(tmp_path, micro_backend(), sink)
    assert {name for name in sink.artifacts if name.startswith("playbook/")} == {
        "playbook/playbook.json",
        "playbook/playbook.md",
    }


def test_a_run_that_fails_is_finished_as_failed(tmp_path: Path) -> None:
    def die(_: object) -> str:
        raise EngineDeadError("gone")

    sink = RecordingSink()
    with pytest.raises(EngineDeadError):
        track(tmp_path, ScriptedBackend(die), sink)
    assert sink.statuses == ["failed"]
    assert "playbook/playbook.json" in sink.artifacts
    assert "summary/summary.json" not in sink.artifacts
