"""A LoRA adapter of random weights for `vllm_model`'s Qwen2, as PEFT would save it."""

from __future__ import annotations

import json
from pathlib import Path

HIDDEN, HEADS_TIMES_WIDTH, INTERMEDIATE, LAYERS = 64, 64, 128, 2


def build_adapter(folder: Path, *, seed: int = 0, rank: int = 4) -> Path:
    """Write adapter_config.json and adapter_model.safetensors into `folder`. Large enough to change every answer."""
    import torch
    from safetensors.torch import save_file

    shapes = {
        "self_attn.q_proj": (HIDDEN, HEADS_TIMES_WIDTH),
        "self_attn.o_proj": (HEADS_TIMES_WIDTH, HIDDEN),
        "mlp.down_proj": (INTERMEDIATE, HIDDEN),
    }
    random = torch.Generator().manual_seed(seed)
    weights = {}
    for layer in range(LAYERS):
        for module, (width, height) in shapes.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            weights[f"{name}.lora_A.weight"] = torch.randn(rank, width, generator=random) * 0.3
            weights[f"{name}.lora_B.weight"] = torch.randn(height, rank, generator=random) * 0.3
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": sorted(module.rpartition(".")[2] for module in shapes),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
