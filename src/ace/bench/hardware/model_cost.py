"""Cost of a token in a dense decoder with gated feed-forward blocks and full attention (Qwen2, Llama).

Only work that cannot be left out is counted, so that times worked out from it are lower bounds: norms, biases, rotary
embeddings, the look-up of embeddings, the reading of the KV cache and padding cost nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ace.types import Usage

_BYTES = {"bfloat16": 2, "float32": 4}
"""Bytes of a weight."""

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


@dataclass(frozen=True, slots=True)
class Load:
    """Work of a model: tokens that went through its layers, and operations.

    A multiplication and an addition are two operations. `steps` and the bytes of weights that they read are 0 where
    nobody counted them.
    """

    tokens: int
    flops: int
    steps: int = 0
    read_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ModelCost:
    """The sizes that cost depends on."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    dtype: str = "bfloat16"
    """In which it is served."""

    @classmethod
    def of(cls, folder: Path, dtype: str = "bfloat16") -> ModelCost | None:
        """Cost of the model in `folder`, served in `dtype`. None for a mixture of experts."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if any(config.get(key) for key in _EXPERTS):
            return None
        heads = config["num_attention_heads"]
        return cls(
            hidden=config["hidden_size"],
            intermediate=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or config["hidden_size"] // heads,
            vocabulary=config["vocab_size"],
            dtype=dtype,
        )

    @property
    def layer(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of a layer's matrices, those that engines join joined: attention's two, then the MLP's."""
        return (
            (self.hidden, (self.heads + 2 * self.kv_heads) * self.head_size),
            (self.heads * self.head_size, self.hidden),
            (self.hidden, 2 * self.intermediate),
            (self.intermediate, self.hidden),
        )

    @property
    def body(self) -> int:
        """Weights that every token is multiplied with."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.layer)

    @property
    def head(self) -> int:
        """Weights, tied to the embeddings or not, that only tokens are multiplied with from which others are drawn."""
        return self.hidden * self.vocabulary

    @property
    def step_bytes(self) -> int:
        """Bytes of weights that a step reads, however many tokens it computes."""
        return _BYTES[self.dtype] * (self.body + self.head)

    @property
    def kv_bytes(self) -> int:
        """Bytes of the keys and values of one token in all layers."""
        return 2 * _BYTES[self.dtype] * self.layers * self.kv_heads * self.head_size

    def attention(self, context: int) -> int:
        """Operations of one token that attends to `context` tokens, itself among them: QK^T and PV in all layers."""
        return 4 * self.layers * self.heads * self.head_size * context

    def answered(self, usages: Iterable[Usage], steps: int | None) -> Load:
        """The calls of `usages`: prompts but for what was cached, answers, and guesses that were checked in vain.

        The last token of an answer is drawn and not computed.
        """
        load = self._load([_answered(usage) for usage in usages])
        return load if steps is None else Load(load.tokens, load.flops, steps, steps * self.step_bytes)

    def guessed(self, usages: Iterable[Usage]) -> Load:
        """Cost of the same calls for the draft model: the prompts and the guesses.

        Its steps are not counted.
        """
        return self._load([_guessed(usage) for usage in usages])

    def _load(self, counts: Iterable[_Counts]) -> Load:
        tokens = drawn = attended = 0
        for one in counts:
            tokens, drawn, attended = tokens + one.tokens, drawn + one.drawn, attended + one.attended
        return Load(tokens, 2 * self.body * tokens + 2 * self.head * drawn + self.attention(attended))


@dataclass(frozen=True, slots=True)
class _Counts:
    """Tokens computed, tokens that others were drawn from, and how many tokens those computed attended to together."""

    tokens: int
    drawn: int
    attended: int


def _answered(usage: Usage) -> _Counts:
    if not usage.completion_tokens:  # an answer that never came
        return _Counts(0, 0, 0)
    end = usage.prompt_tokens + usage.completion_tokens - 1
    in_vain = usage.drafted_tokens - usage.accepted_tokens
    return _Counts(
        end - usage.cached_tokens + in_vain,
        usage.completion_tokens + in_vain,
        _attended(usage.cached_tokens, end) + in_vain * usage.prompt_tokens,
    )


def _guessed(usage: Usage) -> _Counts:
    if not usage.drafted_tokens:
        return _Counts(0, 0, 0)
    guesses = usage.drafted_tokens - 1  # the first is drawn from the prompt's last token
    return _Counts(
        usage.prompt_tokens - usage.cached_tokens + guesses,
        usage.drafted_tokens,
        _attended(usage.cached_tokens, usage.prompt_tokens) + guesses * usage.prompt_tokens,
    )


def _attended(start: int, end: int) -> int:
    """Tokens that those at the places from `start` up to `end` attend to together, each to itself and all before it."""
    return (end * (end + 1) - start * (start + 1)) // 2
