"""Informed initialisation: the look-up circuit is written into the weights before training starts.

Plain random initialisation needs thousands of steps before a small transformer finds the two-layer
"induction" circuit on which look-up rests. Here layer 0 starts with heads that copy the 1st, 2nd and 3rd previous
token into subspaces of their own (constant query/key biases under RoPE peak at one distance), and layer 1
with heads that match those subspaces on RoPE's slow frequencies and copy what follows. Training refines it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

ROPE_THETA = 1.0e10
_FAST_PAIRS = 11
_SAME_CLASS = (
    (" = ", " -> "),
    (" (trm-", " [trm-"),
    (" (mod-", " [mod-"),
    ("trm-", " [trm-"),
    ("mod-", " [mod-"),
    (" add ; ", "\n- "),
    (" update ; ", "\n- "),
    (" same ; ", "\n- "),
    ('"},{"type":"ADD","section":"trm","content":"', "\n- "),
    ('"},{"type":"ADD","section":"mod","content":"', "\n- "),
    ('"},{"type":"UPDATE","id":"trm-', "\n- "),
    ('"},{"type":"UPDATE","id":"mod-', "\n- "),
    ('","content":"', ") "),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """`identity` is the width of each token-identity subspace: five of them fit into `hidden`."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    identity: int


TARGET = Shape(hidden=256, layers=4, heads=4, intermediate=512, identity=44)
DRAFT = Shape(hidden=128, layers=2, heads=2, intermediate=256, identity=25)
SHAPES = {"target": TARGET, "draft": DRAFT}


def configuration(shape: Shape, tokenizer: PreTrainedTokenizerFast) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.02,
        attn_implementation="sdpa",
    )


def initialise(shape: Shape, tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> Qwen2ForCausalLM:
    """A fresh model that can look up before its first training step."""
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(configuration(shape, tokenizer))
    builder = _Builder(model, shape)
    with torch.no_grad():
        builder.quieten()
        builder.embeddings(tokenizer)
        for head, distance in enumerate((1, 2, 3)[: shape.heads]):
            builder.previous_token(head, distance)
        builder.match(1, 0, {"cur": ("d1", 7.0), "d1": ("d2", 14.0)}, {"cur": "out"}, 0.3)
        builder.match(1, 1, {"cur": ("d1", 14.0)}, {"cur": "out"}, 0.1)
        if shape.layers > 3:
            builder.match(1, 2, {"d3": ("cur", 14.0)}, {"d1": "spare"}, 0.15)
            builder.match(1, 3, {"cur": ("cur", 14.0)}, {"d1": "spare"}, 0.15)
            builder.match(2, 0, {"cur": ("d3", 14.0)}, {"cur": "spare"}, 0.2)
            builder.match(2, 1, {"cur": ("d3", 14.0)}, {"d1": "spare"}, 0.2)
            builder.match(2, 2, {"d2": ("d2", 14.0)}, {"cur": "out"}, 0.1)
            builder.match(3, 0, {"out": ("cur", 14.0)}, {"d2": "out"}, 0.1)
    return model


class _Builder:
    def __init__(self, model: Qwen2ForCausalLM, shape: Shape) -> None:
        self.model = model
        self.size = shape.hidden // shape.heads
        width = shape.identity
        names = ("cur", "d1", "d2", "d3", "out")
        self.spaces = {name: slice(i * width, (i + 1) * width) for i, name in enumerate(names)}
        self.spaces["spare"] = slice(5 * width, shape.hidden)
        self.width = width
        self.hidden = shape.hidden
        half = self.size // 2
        self.angles = [ROPE_THETA ** (-pair / half) for pair in range(half)]
        slow = range(_FAST_PAIRS, half)
        self.slow = [*slow, *(pair + half for pair in slow)]

    def quieten(self) -> None:
        """Shrink the random weights, so that they do not drown what is written into the subspaces."""
        self.model.model.embed_tokens.weight *= 0.2
        for index, layer in enumerate(self.model.model.layers):
            layer.self_attn.o_proj.weight *= 0.1
            layer.mlp.down_proj.weight *= 0.2
            if index < 3:
                layer.self_attn.q_proj.weight *= 0.1
                layer.self_attn.k_proj.weight *= 0.1
                layer.self_attn.v_proj.weight *= 0.2

    def embeddings(self, tokenizer: PreTrainedTokenizerFast) -> None:
        count = len(tokenizer)
        identity = torch.nn.functional.normalize(torch.randn(count, self.width), dim=-1)
        for name, like in _SAME_CLASS:
            (a,), (b,) = _token(tokenizer, name), _token(tokenizer, like)
            identity[a] = torch.nn.functional.normalize(0.6 * identity[a] + 0.8 * identity[b], dim=-1)
        self.model.model.embed_tokens.weight[:, self.spaces["cur"]] = identity
        self.model.lm_head.weight[:, self.spaces["out"]] = 1.4 * identity

    def previous_token(self, head: int, distance: int) -> None:
        """score(delta) = sum_i w cos(angle_i (delta - distance)): a sharp peak at `distance`."""
        attention = self.model.model.layers[0].self_attn
        amplitude = math.sqrt(14.0 * math.sqrt(self.size))
        half, start = self.size // 2, head * self.size
        for pair, angle in enumerate(self.angles[: _FAST_PAIRS + 2]):
            attention.q_proj.bias[start + pair] = amplitude * math.cos(-distance * angle)
            attention.q_proj.bias[start + pair + half] = amplitude * math.sin(-distance * angle)
            attention.k_proj.bias[start + pair] = amplitude
        self._copy(0, head, {"cur": f"d{distance}"}, 1.0 / math.sqrt(self.hidden))

    def match(
        self,
        layer: int,
        head: int,
        pairs: dict[str, tuple[str, float]],
        copied: dict[str, str],
        gain: float,
    ) -> None:
        """A head that compares one subspace of the query with another subspace of the key."""
        attention = self.model.model.layers[layer].self_attn
        start = head * self.size
        # Four subspaces of norm 1 enter RMSNorm, later with what the layers before have written.
        norm = math.sqrt(self.hidden) / (2.0, 2.0, 3.0, 3.5)[layer]
        rows = torch.tensor(self.slow) + start
        for query, (key, score) in pairs.items():
            rotation = _orthogonal(len(self.slow), self.width)
            fraction = min(1.0, len(self.slow) / self.width)
            scale = math.sqrt(score * math.sqrt(self.size) / (norm * norm * fraction))
            attention.q_proj.weight[rows, self.spaces[query]] += scale * rotation
            attention.k_proj.weight[rows, self.spaces[key]] += scale * rotation
        self._copy(layer, head, copied, gain)

    def _copy(self, layer: int, head: int, copied: dict[str, str], gain: float) -> None:
        attention = self.model.model.layers[layer].self_attn
        start = head * self.size
        for source, goal in copied.items():
            space = self.spaces[goal]
            width = space.stop - space.start
            mix = torch.eye(self.width) if width == self.width else _orthogonal(width, self.width)
            root = math.sqrt(gain)
            lanes = slice(start, start + self.width)
            attention.v_proj.weight[lanes, self.spaces[source]] += root * torch.eye(self.width)
            attention.o_proj.weight[space, lanes] += root * mix


def _token(tokenizer: PreTrainedTokenizerFast, text: str) -> tuple[int]:
    # ") " is a token only before a word: look the text up as it stands in the vocabulary.
    return (tokenizer.convert_tokens_to_ids(text.replace(" ", "Ġ").replace("\n", "Ċ")),)


def _orthogonal(rows: int, columns: int) -> Tensor:
    weight = torch.empty(rows, columns)
    torch.nn.init.orthogonal_(weight)
    return weight
