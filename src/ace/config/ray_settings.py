"""`ray:` of a model - the cluster of its engines, and what each engine takes of it."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from ace.config.strict_model import Settings, refused

_ADDRESS = re.compile(r"auto|(?:ray://)?[\w.-]+:\d{1,5}|(?:ray://)?\[[0-9a-fA-F:]+\]:\d{1,5}")


class RaySettings(Settings):
    """The Ray cluster behind provider `ray`, and what one replica takes of it."""

    address: str | None = None
    """`auto`, `HOST:PORT` of a head node, or `ray://HOST:PORT`. None starts a cluster on this machine, for this run."""
    min_replicas: int | None = Field(default=None, ge=1)
    """Replicas with which the run begins; the others join when the cluster has room. None waits for all of them."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """`auto` is GPUs where the cluster has any when it is connected to."""
    cpus: float = Field(default=1.0, ge=1.0)
    """Cores of a replica, and on a CPU the threads of its engine."""
    gpu_share: float = Field(default=1.0, gt=0.0, le=1.0)
    """Part of a GPU, and of its memory, that a replica takes whose model fits one GPU."""
    resources: dict[str, float] = Field(default_factory=dict)
    """Other resources of a replica, by the names that the cluster's nodes declare."""
    start_timeout_s: float = Field(default=1800.0, gt=0.0)
    """The longest that `min_replicas` engines may take to come up, new nodes of an autoscaler included."""

    @field_validator("address")
    @classmethod
    def _can_be_an_address(cls, value: str | None) -> str | None:
        if value is not None and not _ADDRESS.fullmatch(value):
            raise refused("", value, "auto, HOST:PORT or ray://HOST:PORT; leave it out for a cluster on this machine")
        return value

    @field_validator("resources")
    @classmethod
    def _resources_have_other_names(cls, value: dict[str, float]) -> dict[str, float]:
        keys = {"CPU": "ray.cpus", "GPU": "ray.gpu_share and engine_args.tensor_parallel_size"}
        for name, amount in value.items():
            if name in keys:
                raise refused(name, amount, f"not supported with resources: that is {keys[name]}")
            if amount <= 0:
                raise refused(name, amount, "more than 0")
        return value
