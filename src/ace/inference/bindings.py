"""Bindings of models to roles: the model that answers each role, and the larger one that takes its escalated calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ace._util.hashing import folder_fingerprint
from ace.config import ModelSettings, PriceSettings, RunSettings
from ace.errors import ConfigError
from ace.inference.backend import Backend
from ace.inference.model_files.packaged import model_path
from ace.inference.precision import effective_dtype
from ace.inference.wrappers.lora_backend import engine_of
from ace.types import ROLES, RoleName

Tier = Literal["own", "larger"]
"""A role's own model, or the larger one of its `escalate`."""


@dataclass(frozen=True)
class ModelBinding:
    """The model that answers `role` on `tier`. `model` is its key in `models`."""

    role: RoleName
    tier: Tier
    model: str
    settings: ModelSettings
    backend: Backend

    @property
    def price(self) -> PriceSettings | None:
        """Price of the model's tokens; None where the config names none."""
        return self.settings.price

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """Everything that decides the model's answers, with the state of the files of a local model or adapter."""
        info = self.backend.info
        local = info.provider in ("vllm", "huggingface", "ray")
        identity = {
            "provider": info.provider,
            "model": info.model,
            "base_url": self.settings.base_url or (info.device if info.provider == "openai" else None),
            "dtype": effective_dtype(self.settings),
            "engine_args": self.settings.engine_args,
            "files": folder_fingerprint(Path(model_path(info.model))) if local else [],
        }
        if info.adapter is None:
            return identity
        return identity | {"adapter": info.adapter, "adapter_files": folder_fingerprint(Path(info.adapter))}


@dataclass(frozen=True, slots=True)
class Bindings:
    """The bindings of a run: one for each role, and one more for each role with a larger model."""

    own: Mapping[RoleName, ModelBinding]
    larger: Mapping[RoleName, ModelBinding]

    def get(self, role: RoleName, tier: Tier = "own") -> ModelBinding:
        """Return the binding of `role` on `tier`."""
        return self.own[role] if tier == "own" else self.larger[role]

    def __iter__(self) -> Iterator[ModelBinding]:
        yield from self.own.values()
        yield from self.larger.values()

    @property
    def engines(self) -> tuple[Backend, ...]:
        """Every engine and endpoint once. Adapters share the engine of their base model."""
        engines = (engine_of(binding.backend) for binding in self)
        return tuple({id(engine): engine for engine in engines}.values())

    @property
    def context(self) -> int | None:
        """The smallest context of the models, in tokens; None where none is known."""
        limits = [binding.backend.info.max_model_len for binding in self]
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def gpus(self) -> int:
        """Number of GPUs that the engines of this run use; two engines on one GPU count twice."""
        gpus = {
            id(engine_of(binding.backend)): binding.settings.gpus_per_engine * binding.settings.replicas
            for binding in self
            if binding.backend.info.provider in ("vllm", "huggingface", "ray") and binding.backend.info.device != "cpu"
        }
        return sum(gpus.values())

    def wrap(self, wrapper: Callable[[ModelBinding], Backend]) -> Bindings:
        """Return bindings whose backends are those that `wrapper` makes."""
        return Bindings(
            {role: replace(binding, backend=wrapper(binding)) for role, binding in self.own.items()},
            {role: replace(binding, backend=wrapper(binding)) for role, binding in self.larger.items()},
        )


Backends = Mapping[str, Backend] | Bindings
"""Live backends by their keys in `models`, or bound to their roles already."""


def bind(settings: RunSettings, backends: Backends) -> Bindings:
    """Bind the models that the roles of `settings` name. ConfigError for a model without a backend."""
    if isinstance(backends, Bindings):
        return backends

    def binding(role: RoleName, tier: Tier, model: str) -> ModelBinding:
        if model not in backends:
            names = ", ".join(backends) or "none"
            raise ConfigError.at("backends", names, f"a backend for each model of a role, with model '{model}'")
        return ModelBinding(role, tier, model, settings.models[model], backends[model])

    roles = {role: settings.roles.of(role) for role in ROLES}
    return Bindings(
        {role: binding(role, "own", chosen.model) for role, chosen in roles.items()},
        {role: binding(role, "larger", chosen.escalate.model) for role, chosen in roles.items() if chosen.escalate},
    )
