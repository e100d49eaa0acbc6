"""Which samples make up which batch: a pure function of the settings, so that a resumed run owes exactly the rest."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from ace.types import Sample


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Batch `index` (from 0 over the whole run) of `epoch` (from 0)."""

    index: int
    epoch: int
    samples: tuple[Sample, ...]
    ends_epoch: bool


def plan_batches(
    samples: Sequence[Sample], *, epochs: int, batch_size: int, shuffle: bool, seed: int
) -> tuple[BatchPlan, ...]:
    """Cut `samples` into batches, in another seeded order each epoch when `shuffle` is set."""
    plans: list[BatchPlan] = []
    for epoch in range(epochs):
        order = list(samples)
        if shuffle:
            random.Random(derive_seed(seed, "shuffle", str(epoch))).shuffle(order)
        for start in range(0, len(order), batch_size):
            part = tuple(order[start : start + batch_size])
            plans.append(BatchPlan(len(plans), epoch, part, start + batch_size >= len(order)))
    return tuple(plans)


def derive_seed(seed: int, *parts: str) -> int:
    """A 31-bit seed for one purpose, independent of the order in which work happens to run."""
    digest = hashlib.sha256("\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF
