"""From settings to vLLM's engine arguments, with defaults that differ between CPU and GPU."""

from __future__ import annotations

import dataclasses
import difflib
import os
import shutil
import warnings
from collections.abc import Sequence
from typing import Any

from ace.config import ModelSettings
from ace.errors import ConfigError
from ace.inference.memory.device_memory import DEFAULT_UTILIZATION
from ace.inference.model_files.lora_adapter import RANKS, Adapter
from ace.inference.precision import cpu_precision

LOAD_FORMATS = ("safetensors", "dummy", "fastsafetensors", "runai_streamer")
"""Formats that cannot carry code. `dummy` draws random weights: for speed measurements."""

CPU_SEQUENCES = 128
"""Requests in a batch on a CPU: 128 answer 1.1 to 1.7 times as much as 64, 256 no more than 128."""

LEAST_STEP = 4096
"""Tokens that one step may compute on a CPU, at least: vLLM's own default there."""

_OWN_KEYS = ("model", "max_model_len", "dtype", "gpu_memory_utilization", "trust_remote_code")
_GUIDED = {"backend": "guidance", "disable_any_whitespace": True}
_KV_TOKENS_PER_SEQUENCE = 256
_KV_WHOLE_PROMPTS = 4


def engine_arguments(
    settings: ModelSettings,
    path: str,
    engine_args: type[Any],
    *,
    cpu: bool,
    share: float = 1.0,
    adapters: Sequence[Adapter] = (),
) -> dict[str, Any]:
    """Keyword arguments for vLLM's `EngineArgs` (the class `engine_args`). ConfigError for a key that it lacks."""
    check_keys(settings.engine_args, [field.name for field in dataclasses.fields(engine_args)])
    _refuse(settings, "structured_outputs_config", "answers are guided by llguidance, whose grammars bound texts")
    chosen: dict[str, Any] = {
        "model": path,
        "served_model_name": settings.model,
        "max_model_len": settings.max_model_len,
        "dtype": settings.dtype,
        "gpu_memory_utilization": settings.gpu_memory_utilization or DEFAULT_UTILIZATION * share,
        "trust_remote_code": settings.trust_remote_code,
        "load_format": "safetensors",
        "use_tqdm_on_load": False,
        "enable_prefix_caching": True,
        "structured_outputs_config": dict(_GUIDED),
    }
    if cpu:
        chosen |= {
            "dtype": cpu_precision(settings.dtype).dtype,
            "enforce_eager": True,  # compiling costs 15 to 40 s of start
            "block_size": 32,
            "max_num_seqs": max(CPU_SEQUENCES, settings.max_concurrency),
        }
    if settings.compile != "auto":
        chosen["enforce_eager"] = not settings.compile
    return chosen | _adapter_arguments(settings, adapters) | settings.engine_args


def _adapter_arguments(settings: ModelSettings, adapters: Sequence[Adapter]) -> dict[str, Any]:
    """Room for all adapters in one batch, and for the largest of them."""
    if not adapters:
        return {}
    for key in ("enable_lora", "max_lora_rank"):
        _refuse(settings, key, "it follows from the adapters of this model")
    largest = max(adapter.rank for adapter in adapters)
    return {
        "enable_lora": True,
        "max_loras": len(adapters),
        "max_lora_rank": next(rank for rank in RANKS if rank >= largest),
    }


def _refuse(settings: ModelSettings, key: str, why: str) -> None:
    if key in settings.engine_args:
        raise ConfigError.at(f"engine_args.{key}", settings.engine_args[key], f"not supported here: {why}")


def whole_prompts(arguments: dict[str, Any]) -> dict[str, Any]:
    """`arguments` for a CPU with prompts that are never computed in pieces, unless they say how large a step may be.

    Between two pieces vLLM winds a seeded request's random generator back, which those of a CPU cannot: "CPU Generator
    does not use offset" is then the engine's end (vLLM 0.32).
    """
    if "enable_chunked_prefill" in arguments or "max_num_batched_tokens" in arguments:
        return arguments
    tokens = max(arguments["max_model_len"], LEAST_STEP)
    return {**arguments, "enable_chunked_prefill": False, "max_num_batched_tokens": tokens}


def check_keys(engine_args: dict[str, Any], supported: list[str]) -> None:
    """Refuse keys that vLLM does not have, that have a setting of their own, or that load unsafe weights."""
    for key, value in engine_args.items():
        where = f"engine_args.{key}"
        if key in _OWN_KEYS:
            raise ConfigError.at(
                where, value, f"not supported here: it is a key of the model itself, '{key}'", nearest=key
            )
        if key not in supported:
            near = difflib.get_close_matches(key.replace("-", "_"), supported, n=1, cutoff=0.5)
            nearest = f"engine_args.{near[0]}" if near else None
            raise ConfigError.at(where, value, "an engine argument of the installed vLLM", nearest=nearest)
        if key == "load_format" and value not in LOAD_FORMATS:
            raise ConfigError.at(where, value, ", ".join(LOAD_FORMATS), hint="other formats can run code")


def check_compiler(settings: ModelSettings) -> None:
    """ConfigError where the model is to be compiled and there is no C++ compiler, which torch calls for that."""
    compiler = os.environ.get("CXX", "g++")
    if settings.compile is True and shutil.which(compiler) is None:
        allowed = f"auto or false, where there is no C++ compiler ('{compiler}' is not found)"
        raise ConfigError.at("compile", True, allowed, hint="install g++, or name a compiler in CXX")


def warn_of_remote_code(settings: ModelSettings) -> None:
    """A warning where the model's own code may run."""
    if settings.trust_remote_code:
        warnings.warn(f"trust_remote_code is on: code from '{settings.model}' runs on this machine", stacklevel=2)


def kv_bytes_per_token(vllm_config: Any) -> int:
    """Keys and values of one token in every layer, on each device."""
    model, parallel = vllm_config.model_config, vllm_config.parallel_config
    width = 2 * model.get_num_kv_heads(parallel) * model.get_head_size()
    return int(width * model.get_num_layers(parallel) * model.dtype.itemsize)


def kv_cache_bytes(vllm_config: Any, available: int, share: float = 1.0) -> int:
    """Bytes of KV cache on a CPU.

    Four whole prompts and 256 tokens for each concurrent sequence, within this engine's `share` of 40% of the memory
    that is `available`, and never less than one prompt of the full length needs.
    """
    model, scheduler = vllm_config.model_config, vllm_config.scheduler_config
    per_token = kv_bytes_per_token(vllm_config)
    tokens = _KV_WHOLE_PROMPTS * model.max_model_len + _KV_TOKENS_PER_SEQUENCE * scheduler.max_num_seqs
    block = vllm_config.cache_config.block_size or 128
    least = per_token * (model.max_model_len + 2 * block)
    return int(max(least, min(per_token * tokens, available * 2 // 5 * share)))
