"""The work of a run, drawn from a pilot run of the same config: how many calls a sample makes, and of which size."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ace.errors import DataError
from ace.roles import CallRecord
from ace.store import RunReader


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call: tokens of the prompt, `computed` ones that no cache served, tokens of the answer, and its seconds."""

    role: str
    prompt: int
    computed: int
    answer: int
    seconds: float


Chain = tuple[PlannedCall, ...]
"""Calls that follow each other: those of a sample, or one of a curator."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The calls of a pilot run: one chain for each sample of its batches and evaluations, and its curators' calls.

    `later` are the chains of the second half of the batches, when the playbook had grown. `groups` is the number of
    curator calls for each sample of a batch to the power of one half. `outside` is the share of the pilot's adaptation
    in which no engine was stepping, None where that was not measured.
    """

    pilot: str
    samples: tuple[Chain, ...]
    later: tuple[Chain, ...]
    evaluations: tuple[tuple[Chain, ...], ...]
    curators: tuple[Chain, ...]
    groups: float
    outside: float | None

    @classmethod
    def of(cls, store: RunReader, run: str) -> Workload:
        """Read a pilot run. DataError for one that has adapted on nothing."""
        samples: list[Chain] = []
        later: list[Chain] = []
        curators: list[Chain] = []
        roots = 0.0
        batches = store.batches(run)
        for number, batch in enumerate(batches):
            chains, others = _chains(store.calls(run, batch=batch.index))
            samples += chains
            later += chains if number >= len(batches) // 2 else []
            curators += others
            roots += math.sqrt(batch.samples)
        if not samples:
            raise DataError(f"run {run} has no calls to plan by", hint="ace run CONFIG, on a few samples")
        evaluations = [
            tuple(_chains(store.calls(run, evaluation=evaluation.index))[0]) for evaluation in store.evaluations(run)
        ]
        summary = store.run(run).summary or {}
        engine_s, adapt_s = summary.get("engine_s"), summary.get("adapt_s") or 0.0
        return cls(
            pilot=run,
            samples=tuple(samples),
            later=tuple(later) or tuple(samples),
            evaluations=tuple(evaluations),
            curators=tuple(curators),
            groups=len(curators) / roots,
            outside=None if engine_s is None or not adapt_s else max(0.0, 1 - engine_s / adapt_s),
        )

    def batch(self, start: int, size: int, rng: random.Random) -> tuple[Sequence[Chain], Sequence[Chain]]:
        """Draw the chains of a batch of `size` samples, and those of its curators.

        `start` samples came before it. Beyond the pilot's length samples are like those of its later batches.
        """
        curators = round(self.groups * math.sqrt(size)) if self.curators else 0
        like = self.samples if start < len(self.samples) else self.later
        return rng.choices(like, k=size), rng.choices(self.curators, k=curators) if curators else ()


def _chains(calls: Sequence[CallRecord]) -> tuple[list[Chain], list[Chain]]:
    """The calls by sample, in their order, and those that belong to none. Answers of the completion cache are none."""
    by_sample: defaultdict[str, list[PlannedCall]] = defaultdict(list)
    others: list[Chain] = []
    for call in calls:
        if call.from_cache:
            continue
        usage = call.usage
        planned = PlannedCall(
            role=call.role,
            prompt=usage.prompt_tokens,
            computed=usage.prompt_tokens - usage.cached_tokens,
            answer=usage.completion_tokens,
            seconds=usage.total_s,
        )
        if call.sample_id is None:
            others.append((planned,))
        else:
            by_sample[call.sample_id].append(planned)
    return [tuple(chain) for chain in by_sample.values()], others
