"""From `ModelSettings` to vLLM's engine arguments."""

from __future__ import annotations

import dataclasses
import difflib
import json
import warnings
from pathlib import Path
from typing import Any

from ace.config import ModelSettings
from ace.errors import ConfigError

DEFAULT_MAX_MODEL_LEN = 4096
CPU_BLOCK_SIZE = 32
"""Tokens in a block of KV cache. On the CPU vLLM's own default is 128; smaller blocks share prefixes more finely."""

_LEAST_KV, _MOST_KV = 64 << 20, 4 << 30
_FULL_SEQUENCES = 8


def engine_arguments(settings: ModelSettings, model: str, *, gpu: bool) -> dict[str, Any]:
    """Keyword arguments for vLLM's `EngineArgs`; `engine_args` of the settings win over every default.

    ConfigError for a key that EngineArgs does not have.
    """
    from vllm import EngineArgs

    if settings.trust_remote_code:
        warnings.warn(f"trust_remote_code: code that comes with {model} will run on this machine", stacklevel=2)
    config = _read_config(model)
    arguments: dict[str, Any] = {
        "model": model,
        "dtype": settings.dtype if settings.dtype != "auto" or gpu else "bfloat16",
        "max_model_len": settings.max_model_len or _max_model_len(config),
        "trust_remote_code": settings.trust_remote_code,
        "enable_prefix_caching": True,
        "disable_log_stats": False,
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "use_tqdm_on_load": False,
    }
    if Path(model).is_dir():
        arguments["load_format"] = "safetensors"
    if gpu:
        arguments["gpu_memory_utilization"] = settings.gpu_memory_utilization
    else:
        arguments["enforce_eager"] = True
        arguments["block_size"] = CPU_BLOCK_SIZE
        arguments["kv_cache_memory_bytes"] = _kv_bytes(config, arguments["max_model_len"])
        arguments["max_num_seqs"] = 128
    known = [field.name for field in dataclasses.fields(EngineArgs)]
    for key in settings.engine_args:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise ConfigError.at(
                f"engine_args.{key}",
                settings.engine_args[key],
                "an argument of vllm.EngineArgs",
                nearest=near[0] if near else None,
            )
    return {**arguments, **settings.engine_args}


def _read_config(model: str) -> dict[str, Any]:
    """A local model's config.json; nothing for a hub id, whose config vLLM fetches."""
    path = Path(model) / "config.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return loaded


def _max_model_len(config: dict[str, Any]) -> int:
    return min(DEFAULT_MAX_MODEL_LEN, int(config.get("max_position_embeddings", DEFAULT_MAX_MODEL_LEN)))


def _kv_bytes(config: dict[str, Any], max_model_len: int) -> int:
    """Room for a few full sequences at 2 bytes a number: prompts share their prefix, so that many more fit."""
    heads = int(config.get("num_attention_heads", 32))
    size = int(config.get("head_dim") or config.get("hidden_size", 4096) // heads)
    kv_heads = int(config.get("num_key_value_heads", heads))
    per_token = 2 * int(config.get("num_hidden_layers", 32)) * kv_heads * size * 2
    return min(_MOST_KV, max(_LEAST_KV, per_token * max_model_len * _FULL_SEQUENCES))
