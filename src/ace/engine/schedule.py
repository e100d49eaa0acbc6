"""Which samples make up which batch: a pure function of the settings, so that a resumed run owes exactly the rest."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ace.types import Sample

AUTO_FIRST, AUTO_MOST = 4, 64
"""Samples of the first and of the largest batch of `batch_size: auto`."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Batch `index` (from 0 over the whole run) of `epoch` (from 0)."""

    index: int
    epoch: int
    samples: tuple[Sample, ...]
    ends_epoch: bool


def plan_batches(
    samples: Sequence[Sample], *, epochs: int, batch_size: int | Literal["auto"], shuffle: bool, seed: int
) -> tuple[BatchPlan, ...]:
    """Cut `samples` into batches, in another seeded order each epoch when `shuffle` is set.

    `auto` cuts batches of 4, 8, 16... and from then on of 64.
    """
    plans: list[BatchPlan] = []
    for epoch in range(epochs):
        order = list(samples)
        if shuffle:
            random.Random(derive_seed(seed, "shuffle", str(epoch))).shuffle(order)
        start = 0
        while start < len(order):
            size = min(AUTO_FIRST << min(len(plans), 8), AUTO_MOST) if batch_size == "auto" else batch_size
            part = tuple(order[start : start + size])
            start += size
            plans.append(BatchPlan(len(plans), epoch, part, start >= len(order)))
    return tuple(plans)


def derive_seed(seed: int, *parts: str) -> int:
    """A 31-bit seed for one purpose, independent of the order in which work happens to run."""
    digest = hashlib.sha256("\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF
