"""The part of the memory that each engine of a run may take, where several vLLM engines share a device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ace.config import ModelSettings, RunSettings
from ace.inference.memory.device_memory import DEFAULT_UTILIZATION, MemoryRequest, cache_shares, utilizations
from ace.inference.memory.gpus import gpu_bytes
from ace.inference.model_files.hub import local_folder
from ace.inference.model_files.model_size import cache_bytes_per_token, weight_bytes
from ace.inference.provider_choice import on_cpu, resolve_auto
from ace.types import ROLES


def memory_shares(settings: RunSettings) -> dict[str, float]:
    """By key of `models`: 1.0 for an engine that is alone, less where several of this process share a device.

    On a GPU it is a share of 0.9 of the memory, on a CPU of what KV caches may take. Two keys of equal models are one
    engine, which stands under the first. ConfigError where the models do not fit together.
    """
    engines: dict[str, ModelSettings] = {}
    for name in settings.engines_used:
        model = settings.models[name]
        if _is_vllm(model) and model not in engines.values():
            engines[name] = model
    if len(engines) < 2:
        return dict.fromkeys(engines, 1.0)
    requests = [_request(settings, engines, name) for name in engines]
    if on_cpu():
        return cache_shares(requests)
    total = gpu_bytes()
    if total is None:
        return dict.fromkeys(engines, 1.0 / len(engines))
    return {name: share / DEFAULT_UTILIZATION for name, share in utilizations(requests, total).items()}


def _is_vllm(model: ModelSettings) -> bool:
    return (resolve_auto().provider if model.provider == "auto" else model.provider) == "vllm"


def _request(settings: RunSettings, engines: Mapping[str, ModelSettings], name: str) -> MemoryRequest:
    model = engines[name]
    folder = Path(local_folder(model))
    devices = model.gpus_per_engine
    tiers = [settings.roles.model_of(role) for role in ROLES]
    tiers += [escalate.model for role in ROLES if (escalate := settings.roles.of(role).escalate) is not None]
    plays = sum(settings.models[settings.engine_of(tier)] == model for tier in tiers)
    dummy = model.engine_args.get("load_format") == "dummy"
    return MemoryRequest(
        name,
        weights=weight_bytes(folder, dummy=dummy) // devices,
        demand=plays * cache_bytes_per_token(folder) // devices,
        utilization=model.gpu_memory_utilization,
    )
