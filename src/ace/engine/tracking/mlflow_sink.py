"""A run in MLflow, through its client alone: MLflow's global state is neither read nor changed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from ace.config import MlflowSettings

STATUS = {"done": "FINISHED", "budget": "FINISHED", "interrupted": "KILLED"}
"""MLflow's word for the end of a run; FAILED for all else."""
MOST_PARAMS = 100
"""In one request."""
LONGEST_PARAM = 6000
"""Characters that MLflow takes."""


class MlflowSink:
    """One run of MLflow, found again by the tag `ace.run`."""

    def __init__(self, settings: MlflowSettings) -> None:
        self._settings = settings
        if settings.uri.startswith("sqlite:///"):
            self._folder().mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(tracking_uri=settings.uri)
        self._id = ""

    def start(self, run: str, name: str, settings: Mapping[str, str], tags: Mapping[str, str]) -> None:
        experiment = self._experiment()
        earlier = self._client.search_runs([experiment], filter_string=f"tags.`ace.run` = '{run}'", max_results=1)
        if earlier:
            self._id = earlier[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        self._id = self._client.create_run(experiment, tags=dict(tags), run_name=run).info.run_id
        params = [Param(key, value[:LONGEST_PARAM]) for key, value in settings.items()]
        for first in range(0, len(params), MOST_PARAMS):
            self._client.log_batch(self._id, params=params[first : first + MOST_PARAMS])

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        now = time.time_ns() // 1_000_000
        self._client.log_batch(self._id, metrics=[Metric(key, value, now, step) for key, value in metrics.items()])

    def add_artifact(self, name: str, texts: Mapping[str, str]) -> None:
        for file, text in texts.items():
            self._client.log_text(self._id, text, f"{name}/{file}")

    def finish(self, status: str) -> None:
        self._client.log_batch(self._id, tags=[RunTag("ace.status", status)])
        self._client.set_terminated(self._id, STATUS.get(status, "FAILED"))

    def _experiment(self) -> str:
        name = self._settings.experiment
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        database = self._settings.uri.startswith("sqlite:///")
        location = (self._folder() / "artifacts").resolve().as_uri() if database else None
        return str(self._client.create_experiment(name, artifact_location=location))

    def _folder(self) -> Path:
        return Path(self._settings.uri.removeprefix("sqlite:///")).parent
