"""`ray:` of a model - the cluster of its engines, and what each engine takes of it."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

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
    heartbeat_timeout_s: float = Field(default=20.0, gt=0.0)
    """How long a replica may be silent before its requests are repeated on another one. It may come back."""
    shared: bool = False
    """Share the engines with other runs on the cluster that name the same model and settings of the engine."""
    weight: float = Field(default=1.0, gt=0.0)
    """This run's part of shared engines, beside the weights of the other runs."""
    keep_s: float = Field(default=0.0, ge=0.0)
    """How long shared engines wait for another run after the last one has ended."""

    @field_validator("address")
    @classmethod
    def _can_be_an_address(cls, value: str | None) -> str | None:
        if value is not None and not _ADDRESS.fullmatch(value):
            raise refused("", value, "auto, HOST:PORT or ray://HOST:PORT; leave it out for a cluster on this machine")
        return value

    @model_validator(mode="after")
    def _only_a_cluster_is_shared(self) -> Self:
        if self.shared and self.address is None:
            raise refused("shared", True, "false, without ray.address: a cluster that ace starts is for one run")
        for key, default in (("weight", 1.0), ("keep_s", 0.0)):
            if not self.shared and getattr(self, key) != default:
                raise refused(key, getattr(self, key), "not supported without ray.shared")
        return self

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
