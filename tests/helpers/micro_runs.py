"""A scripted model that plays all three roles on the micro world without a mistake, and settings to run it with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ace.config import RunSettings, settings_from
from ace.inference import Backend, ScriptedBackend
from ace.tasks.micro.scripted_model import ScriptedMicroModel, role_of

__all__ = ["all_roles", "micro_backend", "micro_model", "role_of", "settings"]


def settings(folder: Path, **changes: Any) -> RunSettings:
    """A small micro world with its store in `folder`; `changes` by dotted key with `__` for the dot."""
    values: dict[str, Any] = {
        "name": "test",
        "prompts": "micro",
        "store": f"sqlite:///{folder}/ace.db",
        "task": {
            "name": "micro",
            "micro": {"seed": 3, "terms": 4, "modifiers": 3, "train": 6, "validation": 2, "test": 4},
        },
        "models": {"main": {"provider": "scripted", "model": "scripted"}},
        "adaptation": {"batch_size": 2, "max_rounds": 2},
    }
    for key, value in changes.items():
        *parents, last = key.split("__")
        here = values
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value
    return settings_from(values)


def all_roles(backend: Backend) -> Mapping[str, Backend]:
    """The backend as the model `main`, which plays all roles."""
    return {"main": backend}


def micro_backend(max_model_len: int | None = None) -> ScriptedBackend:
    return ScriptedBackend(micro_model, max_model_len=max_model_len)


micro_model = ScriptedMicroModel()
