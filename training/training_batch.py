"""Tensors for training: rows of one playbook and several independent turns (block-diagonal attention)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from training.training_data import Source, pack_sequence

Row = tuple[list[int], list[int], list[int], list[int]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids of several sequences, ready for the model.

    ids, positions: (rows, length); mask: (rows, 1, length, length), additive; where: flat positions whose next token is
    learned; targets: those next tokens.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    where: Tensor
    targets: Tensor


def row(source: Source, tokenizer: PreTrainedTokenizerFast, length: int) -> Row:
    fast = tokenizer.backend_tokenizer
    return pack_sequence(source, lambda text: list(fast.encode(text).ids), length)


def collate(rows: list[Row], length: int, pad: int, dtype: torch.dtype = torch.float32) -> Batch:
    count = len(rows)
    ids = torch.full((count, length), pad)
    labels = torch.full((count, length), -100)
    positions = torch.zeros((count, length), dtype=torch.long)
    blocks = torch.full((count, length), -1)
    for index, (tokens, targets, places, block) in enumerate(rows):
        ids[index, : len(tokens)] = torch.tensor(tokens)
        labels[index, : len(tokens)] = torch.tensor(targets)
        positions[index, : len(tokens)] = torch.tensor(places)
        blocks[index, : len(tokens)] = torch.tensor(block)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    same = blocks[:, :, None] == blocks[:, None, :]
    visible = (same | (blocks == 0)[:, None, :]) & causal
    mask = torch.zeros(count, 1, length, length, dtype=dtype)
    mask.masked_fill_(~visible[:, None], torch.finfo(torch.bfloat16).min)
    following = torch.full_like(labels, -100)
    following[:, :-1] = labels[:, 1:]
    flat = following.flatten()
    where = (flat != -100).nonzero()[:, 0]
    return Batch(ids, positions, mask, where, flat[where])
