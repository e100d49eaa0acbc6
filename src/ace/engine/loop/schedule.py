"""The schedule of batches, a pure function of the settings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ace._util.hashing import derive_seed
from ace.types import Sample

AUTO_FIRST, AUTO_WARM, AUTO_MOST = 4, 16, 64
"""Samples of the first batch of `batch_size: auto` behind an empty playbook and behind another, and of the largest."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Batch `index` (from 0 over the whole run) of `epoch` (from 0).

    `epoch_start` is the index of the epoch's first batch, `samples_after` the number of samples in later batches.
    `retries` are the failed outcomes of earlier batches, by batch and position, whose samples this batch retries.
    """

    index: int
    epoch: int
    samples: tuple[Sample, ...]
    ends_epoch: bool
    epoch_start: int = 0
    samples_after: int = 0
    retries: tuple[tuple[int, int], ...] = ()


def plan_batches(
    samples: Sequence[Sample],
    *,
    epochs: int,
    batch_size: int | Literal["auto"],
    shuffle: bool,
    seed: int,
    bullets: int = 0,
) -> tuple[BatchPlan, ...]:
    """Cut `samples` into batches, in another seeded order each epoch when `shuffle` is set.

    `auto` cuts batches of 4, 8, 16... and from then on of 64; of 16, 32, 64 where the run starts with `bullets`.
    """
    plans: list[BatchPlan] = []
    first = AUTO_WARM if bullets else AUTO_FIRST
    for epoch in range(epochs):
        order = list(samples)
        if shuffle:
            random.Random(derive_seed(seed, "shuffle", str(epoch))).shuffle(order)
        start, epoch_start = 0, len(plans)
        while start < len(order):
            size = min(first << min(len(plans), 8), AUTO_MOST) if batch_size == "auto" else batch_size
            part = tuple(order[start : start + size])
            start += size
            after = max(len(order) - start, 0) + (epochs - epoch - 1) * len(order)
            plans.append(BatchPlan(len(plans), epoch, part, start >= len(order), epoch_start, after))
    return tuple(plans)
