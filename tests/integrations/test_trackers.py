"""MLflow and Weights & Biases as observers of runs, with the real packages and nothing but local files."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from micro_runs import all_roles, micro_backend, settings

from ace.engine import Event, RunSummary, run
from ace.engine.events import TrackerFailed
from ace.errors import ProviderMissingError

pytestmark = pytest.mark.filterwarnings("default")  # what the packages warn of is theirs


def go(folder: Path, **changes: object) -> tuple[RunSummary, list[TrackerFailed]]:
    events: list[Event] = []
    work = run(settings(folder, **changes), backends=all_roles(micro_backend()), listener=events.append)
    return asyncio.run(work), [event for event in events if isinstance(event, TrackerFailed)]


def test_mlflow_gets_settings_metrics_and_playbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    uri = f"sqlite:///{tmp_path}/tracking/mlflow.db"
    summary, failures = go(
        tmp_path,
        tracking={
            "mlflow": {"uri": uri, "experiment": "micro"},
            "tags": {"team": "blue"},
            "playbooks": "all",
            "timeout_s": 200,
        },
    )
    assert not failures
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("micro")
    (found,) = client.search_runs([experiment.experiment_id], filter_string=f"tags.`ace.run` = '{summary.run}'")
    assert found.info.status == "FINISHED" and found.data.tags["team"] == "blue"
    assert found.data.params["adaptation.batch_size"] == "2"
    assert found.data.metrics["after/accuracy"] == summary.accuracy_after
    assert found.data.metrics["calls/generator"] > 0
    history = client.get_metric_history(found.info.run_id, "playbook/bullets")
    assert [metric.step for metric in history] == [1, 2, 3]
    assert history[-1].value == summary.playbook_bullets
    files = {file.path for file in client.list_artifacts(found.info.run_id, "playbook")}
    assert {"playbook/playbook.json", "playbook/playbook.md", "playbook/v00001.json"} <= files
    local = client.download_artifacts(found.info.run_id, "summary/summary.json", str(tmp_path))
    assert json.loads(Path(local).read_text())["run"] == summary.run


def test_a_resumed_run_goes_on_in_the_same_mlflow_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    changes = {"tracking": {"mlflow": {"uri": uri}, "timeout_s": 200}}
    first, _ = go(tmp_path, budget={"calls": 8}, **changes)
    assert first.status == "budget"
    again = settings(tmp_path, **changes)
    second = asyncio.run(run(again, backends=all_roles(micro_backend()), resume=first.run))
    assert second.status == "done"
    client = mlflow.MlflowClient(tracking_uri=uri)
    (only,) = client.search_runs([client.get_experiment_by_name("ace").experiment_id])
    assert only.data.tags["ace.status"] == "done"


def test_wandb_keeps_a_run_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    tracking = {"wandb": {"folder": str(tmp_path), "project": "micro"}, "tags": {"team": "blue"}, "timeout_s": 200}
    summary, failures = go(tmp_path, tracking=tracking)
    assert not failures
    (folder,) = (tmp_path / "wandb").glob(f"offline-run-*-{summary.run}")
    written = next(folder.glob("*.wandb")).read_bytes()
    for name in ("after/accuracy", "adaptation.batch_size", "team:blue", f"playbook-{summary.run}"):
        assert name.encode() in written


def test_a_tracker_that_cannot_start_disturbs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    occupied = tmp_path / "occupied"
    occupied.write_text("a file where a folder should be")
    summary, failures = go(tmp_path, tracking={"wandb": {"folder": str(occupied)}, "timeout_s": 200})
    assert (summary.status, summary.accuracy_after) == ("done", 1.0)
    assert [failure.tracker for failure in failures] == ["wandb"]
    assert "FileExistsError" in failures[0].error


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_named_before_anything_is_loaded(tmp_path: Path, name: str) -> None:
    if find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    with pytest.raises(ProviderMissingError, match=f"tracking.{name} needs the package '{name}'"):
        asyncio.run(run(settings(tmp_path, tracking={name: {}}, task={"name": "jsonl", "path": "missing.jsonl"})))
