"""`tracking:` - where a run is shown beside the store: MLflow, Weights & Biases, OpenTelemetry."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ace.config.strict_model import HIDDEN, Settings, refused


def _without_password(url: str, variables: str) -> str:
    """Refuse a URL with a password: settings are stored, and shown to people."""
    try:
        has_password = urlsplit(url).password is not None
    except ValueError as error:
        raise refused("", url, f"a URL; this is none: {error}") from None
    if has_password:
        raise refused("", HIDDEN, f"a URL without a password, which is read from {variables}")
    return url


class MlflowSettings(Settings):
    """A run of MLflow. `uri` is an SQLite file or a tracking server, relative to the working folder as `store` is.

    Artifacts of an SQLite file lie in the folder `artifacts` beside it.
    """

    uri: str = "sqlite:///runs/mlflow.db"
    experiment: str = Field(default="ace", min_length=1)

    @field_validator("uri")
    @classmethod
    def _no_password(cls, uri: str) -> str:
        if not uri.startswith(("sqlite:///", "http://", "https://", "databricks")):
            raise refused("", uri, "sqlite:///PATH, http(s)://HOST or databricks")
        return _without_password(uri, "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")


class WandbSettings(Settings):
    """A run of Weights & Biases. `offline` writes it to `folder` alone; `wandb sync` sends it later.

    The API key is read from WANDB_API_KEY.
    """

    project: str = Field(default="ace", min_length=1)
    entity: str | None = None
    mode: Literal["offline", "online"] = "offline"
    folder: str = Field(default="runs", min_length=1)


class OtelSettings(Settings):
    """A trace for each run, with a span for each model call. No text of a prompt or an answer is in it.

    Without `endpoint`, spans go to the tracer provider of the process, or where OTEL_EXPORTER_OTLP_ENDPOINT says.
    """

    endpoint: str | None = None
    service: str = Field(default="ace", min_length=1)

    @field_validator("endpoint")
    @classmethod
    def _no_password(cls, endpoint: str | None) -> str | None:
        if endpoint is None:
            return None
        if not endpoint.startswith(("http://", "https://")):
            raise refused("", endpoint, "http(s)://HOST:PORT/v1/traces")
        return _without_password(endpoint, "OTEL_EXPORTER_OTLP_HEADERS")


class TrackingSettings(Settings):
    """Trackers of a run, each on where its key is present. A tracker that fails never disturbs the run.

    `playbooks` says which versions become artifacts. At its end, a run waits up to `timeout_s` seconds for trackers.
    """

    mlflow: MlflowSettings | None = None
    wandb: WandbSettings | None = None
    otel: OtelSettings | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    playbooks: Literal["last", "all"] = "last"
    timeout_s: float = Field(default=60.0, gt=0.0)
