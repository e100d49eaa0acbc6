"""LoRA adapters in PEFT's format: the facts needed before an engine is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ace.errors import ConfigError

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM accepts for `max_lora_rank`."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter: its folder, and the largest rank of its matrices."""

    folder: str
    rank: int


def read_adapter(path: str) -> Adapter:
    """Look at the folder `path` and its adapter_config.json.

    ConfigError at `adapter` where something is missing, is no LoRA, or has a rank that vLLM does not take.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ConfigError.at("adapter", path, "a folder with a LoRA adapter; there is none")
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        allowed = "a folder with adapter_config.json, as PEFT's save_pretrained writes it"
        raise ConfigError.at("adapter", path, allowed) from None
    except (OSError, ValueError) as error:
        raise ConfigError.at("adapter", path, f"a folder whose adapter_config.json can be read: {error}") from None
    kind = config.get("peft_type") if isinstance(config, dict) else config
    if kind != "LORA":
        raise ConfigError.at("adapter", path, f"an adapter with peft_type LORA; adapter_config.json says {kind!r}")
    if not (folder / "adapter_model.safetensors").is_file():
        raise ConfigError.at(
            "adapter", path, "a folder with adapter_model.safetensors", hint="other formats of weights can run code"
        )
    return Adapter(str(folder), _rank(path, config))


def _rank(path: str, config: dict[str, Any]) -> int:
    pattern = config.get("rank_pattern")
    largest = 0
    for rank in (config.get("r"), *(pattern.values() if isinstance(pattern, dict) else ())):
        if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= RANKS[-1]:
            allowed = f"an adapter of rank 1 to {RANKS[-1]}; adapter_config.json says {rank!r}"
            raise ConfigError.at("adapter", path, allowed)
        largest = max(largest, rank)
    return largest
