"""Models with random weights: a config, a tokenizer and no weight files.

Speed depends on the shape and not on what the weights say, so that a 7B-class engine can be measured where no weights
can be had. The tokenizer is the micro model's: prompts have as many tokens as they have for it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ace.errors import ConfigError
from ace.inference import model_path

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
_MICRO = "micro-target"
MICRO_VOCABULARY = 2264


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a Qwen2 architecture. Heads have `hidden / heads` dimensions."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool

    @property
    def parameters(self) -> int:
        """Weights and biases, norms aside."""
        kv = self.hidden * self.kv_heads // self.heads
        attention = self.hidden * (2 * self.hidden + 2 * kv) + self.hidden + 2 * kv
        layer = attention + 3 * self.hidden * self.intermediate
        return self.layers * layer + self.vocabulary * self.hidden * (1 if self.tied else 2)


SHAPES: Mapping[str, Shape] = {
    "micro": Shape(256, 512, 4, 4, 4, MICRO_VOCABULARY, tied=False),
    "0.15b": Shape(640, 3456, 20, 10, 2, MICRO_VOCABULARY, tied=True),
    "0.36b": Shape(896, 4864, 24, 14, 2, MICRO_VOCABULARY, tied=True),
    "qwen2.5-3b": Shape(2048, 11008, 36, 16, 2, 151936, tied=True),
    "qwen2.5-7b": Shape(3584, 18944, 28, 28, 4, 152064, tied=False),
}
"""0.36b is Qwen2.5-0.5B without its large vocabulary; 0.15b is to it what 3B is to 7B."""

SMALLER: Mapping[str, str] = {"qwen2.5-7b": "qwen2.5-3b", "0.36b": "0.15b"}
"""Default shape of the small roles beside each shape; micro beside all others."""


def build_shape(name: str, folder: Path, *, layers: int | None = None) -> Path:
    """A folder that vLLM and transformers load with `load_format: dummy`.

    `name` is one of SHAPES, or a folder with a config.json and a tokenizer, which is given back as it is. `layers` cuts
    a shape. ConfigError for anything else.
    """
    if name not in SHAPES:
        path = Path(name).expanduser()
        if not (path / "config.json").is_file():
            raise ConfigError.at("--shape", name, f"{', '.join(SHAPES)}, or a folder with a config.json")
        if layers is not None:
            raise ConfigError.at("--layers", layers, "not supported with a folder: change its config.json")
        return path
    target = folder / name
    target.mkdir(parents=True)
    for file in _TOKENIZER:
        shutil.copyfile(Path(model_path(_MICRO)) / file, target / file)
    (target / "config.json").write_text(json.dumps(_config(SHAPES[name], layers)), encoding="utf-8")
    return target


def weight_bytes(folder: Path) -> int:
    """Bytes of the bfloat16 weights that the config in `folder` describes, by sizes that most architectures name."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape = Shape(
        config["hidden_size"],
        config["intermediate_size"],
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config.get("num_key_value_heads", config["num_attention_heads"]),
        config["vocab_size"],
        tied=bool(config.get("tie_word_embeddings", False)),
    )
    return 2 * shape.parameters


def _config(shape: Shape, layers: int | None) -> dict[str, object]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "dtype": "bfloat16",
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": 32768,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": layers or shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": shape.tied,
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": shape.vocabulary,
        "bos_token_id": None,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
