"""Size of a model in a folder, read from its files without loading it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_BYTES = 2
"""Bytes of a number in bfloat16 or float16, in which nearly all models are served."""


def weight_bytes(folder: Path, *, dummy: bool = False) -> int:
    """Bytes of the weight files; those that config.json describes where the weights are drawn (`dummy`). 0: unknown."""
    stored = 0 if dummy else sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return stored or _BYTES * _parameters(_config(folder))


def loaded_bytes(folder: Path, itemsize: int, *, dummy: bool = False) -> int:
    """Bytes of the weights once they are loaded as numbers of `itemsize` bytes; quantized ones stay as they are."""
    config = _config(folder)
    stored = weight_bytes(folder, dummy=dummy)
    if dummy:
        return stored * itemsize // _BYTES
    if "quantization_config" in config:
        return stored
    named = str(config.get("dtype") or config.get("torch_dtype"))
    return stored * itemsize // (4 if named == "float32" else _BYTES)


def cache_bytes_per_token(folder: Path) -> int:
    """Bytes of KV cache that a token takes: keys and values of every layer. 0 where config.json does not say."""
    config = _config(folder)
    heads = _number(config, "num_attention_heads")
    width = _number(config, "head_dim") or (_number(config, "hidden_size") // heads if heads else 0)
    kv_heads = _number(config, "num_key_value_heads") or heads
    return 2 * kv_heads * width * _number(config, "num_hidden_layers") * _BYTES


def _parameters(config: dict[str, Any]) -> int:
    """Parameters of a dense decoder with a gated feed-forward block (Qwen2, Llama, Mistral)."""
    hidden, heads = _number(config, "hidden_size"), _number(config, "num_attention_heads")
    width = _number(config, "head_dim") or (hidden // heads if heads else 0)
    kv_heads = _number(config, "num_key_value_heads") or heads
    attention = 2 * hidden * heads * width + 2 * hidden * kv_heads * width
    feed_forward = 3 * hidden * _number(config, "intermediate_size")
    tables = 1 if config.get("tie_word_embeddings") else 2
    layers = _number(config, "num_hidden_layers") * (attention + feed_forward + 2 * hidden)
    return layers + tables * _number(config, "vocab_size") * hidden + hidden


def _config(folder: Path) -> dict[str, Any]:
    """The language model's part of config.json; empty where it cannot be read, which the engine reports."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(config, dict):
        return {}
    text = config.get("text_config")
    return text if isinstance(text, dict) else config


def _number(config: dict[str, Any], key: str) -> int:
    value = config.get(key)
    return value if isinstance(value, int) and value > 0 else 0
