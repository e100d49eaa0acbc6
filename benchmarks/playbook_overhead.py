"""Time of ace's own work for a batch, on playbooks of 100 to 99 000 bullets: five digits number a bullet.

No model is asked. The bullets are made-up advice, each different; the delta is what a batch brings: five ADDs, twenty
TAGs and one UPDATE, proposed sixteen times for the merge.

`first load` is the first use of a playbook that comes from a file: what its words are is worked out then, once in a
run. `next version` is the use of a version that `apply` has just made of the one before, as after every batch; each
repetition has a version of its own. Dedup compares a new bullet with those that have the same numbers, names and
negations: with few where bullets are about something in particular, and with all of them where they are `plain words`,
made of eighteen words in all, which is its worst case here. (Worse would be one wording in thousands of word orders.)
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.playbook import (
    Add,
    Bullet,
    Delta,
    LineFormats,
    NgramEmbedder,
    Playbook,
    Section,
    Tag,
    Update,
    apply,
    dedup_delta,
    enforce_budget,
    merge_deltas,
    render,
)
from ace.playbook.bullet import bullet_id
from ace.playbook.similarity.text_features import signature

SIZES = (100, 1_000, 10_000, 99_000)
SECTIONS = (Section("str", "Strategies"), Section("fact", "Facts"))
THRESHOLD = 0.9
PROPOSALS = 16

_FORMATS = LineFormats()
_EMBEDDER = NgramEmbedder()


@dataclass(frozen=True, slots=True)
class OverheadRow:
    """One operation: milliseconds by the number of bullets, medians; `growth` is the exponent from the second size on.

    1 is linear, 0 does not depend on the size.
    """

    operation: str
    milliseconds: dict[int, float]
    growth: float


@dataclass(frozen=True, slots=True)
class OverheadReport(Report):
    """All operations, with what they were measured on."""

    rows: tuple[OverheadRow, ...]
    repetitions: int
    seed: int
    machine: Machine

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        command = f"python -m benchmarks overhead --repetitions {self.repetitions} --seed {self.seed}"
        sizes = list(self.rows[0].milliseconds)
        columns = ("milliseconds (median)", *(f"{size} bullets" for size in sizes), "growth")
        rows = (
            (row.operation, *(f"{row.milliseconds[size]:.2f}" for size in sizes), f"n^{row.growth:.2f}")
            for row in self.rows
        )
        return report(command, self.machine, table(columns, rows))


def measure_overhead(*, repetitions: int, seed: int, sizes: tuple[int, ...] = SIZES) -> OverheadReport:
    """Measure every operation at every size."""
    times: dict[str, dict[int, float]] = {}
    for size in sizes:
        for name, operation in make_operations(size, random.Random(seed)).items():
            operation.work(operation.playbook())  # warm-up
            taken = [_timed(operation) for _ in range(repetitions)]
            times.setdefault(name, {})[size] = statistics.median(taken)
    rows = tuple(OverheadRow(name, measured, growth_exponent(measured)) for name, measured in times.items())
    return OverheadReport(rows, repetitions, seed, Machine.here())


@dataclass(frozen=True, slots=True)
class _Operation:
    """Timed work, and the untimed making of its playbook."""

    playbook: Callable[[], Playbook]
    work: Callable[[Playbook], object]


class _Versions:
    """A playbook of `size` bullets, read anew or one batch further each time."""

    def __init__(self, size: int, rng: random.Random, *, plain: bool) -> None:
        self._rng = rng
        self._plain = plain
        self._bullets = [_bullet(number, self.advice(number)) for number in range(1, size + 1)]
        self.last = self.loaded()
        self._batches = 0

    def advice(self, number: int) -> str:
        return _advice("zero" if self._plain else str(number), self._rng)

    def loaded(self) -> Playbook:
        signature.cache_clear()
        return Playbook.of(self._bullets, SECTIONS)

    def next(self) -> Playbook:
        """The version after another batch. What can be handed on to it has been worked out for the one before."""
        render(self.last, _FORMATS)
        dedup_delta(self.last, self.one(), _EMBEDDER, THRESHOLD)
        self.last = apply(self.last, self.batch()).playbook
        return self.last

    def batch(self) -> Delta:
        self._batches += 1
        adds = (Add("str", self.advice(self._rng.randrange(len(self._bullets)))) for _ in range(5))
        tags = (Tag(bullet.id, "helpful") for bullet in self._bullets[:20])
        return Delta((*adds, *tags, Update(self._bullets[0].id, f"another text in batch {self._batches}")))

    def one(self) -> Delta:
        return Delta((Add("str", self.advice(self._rng.randrange(len(self._bullets)))),))


def make_operations(size: int, rng: random.Random) -> Mapping[str, _Operation]:
    """Operations on a playbook of `size` bullets, by the names of the rows."""
    usual, plain = _Versions(size, rng, plain=False), _Versions(size, rng, plain=True)

    def dedup(versions: _Versions) -> Callable[[Playbook], object]:
        return lambda playbook: dedup_delta(playbook, versions.one(), _EMBEDDER, THRESHOLD)

    def budget(playbook: Playbook) -> object:
        return enforce_budget(playbook, len, 10**12, _FORMATS)

    return {
        "merge of 16 proposals": _Operation(
            lambda: usual.last, lambda playbook: merge_deltas([usual.batch()] * PROPOSALS, playbook)
        ),
        "dedup of one bullet, next version": _Operation(usual.next, dedup(usual)),
        "dedup of one bullet, next version, plain words": _Operation(plain.next, dedup(plain)),
        "dedup of one bullet, first load": _Operation(usual.loaded, dedup(usual)),
        "dedup of one bullet, first load, plain words": _Operation(plain.loaded, dedup(plain)),
        "apply, next version": _Operation(usual.next, lambda playbook: apply(playbook, usual.batch())),
        "apply, first load": _Operation(usual.loaded, lambda playbook: apply(playbook, usual.batch())),
        "render, next version": _Operation(usual.next, lambda playbook: render(playbook, _FORMATS)),
        "render, first load": _Operation(usual.loaded, lambda playbook: render(playbook, _FORMATS)),
        "budget, kept, next version": _Operation(usual.next, budget),
        "JSON for the store": _Operation(lambda: usual.last, lambda playbook: playbook.to_json()),
    }


def _bullet(number: int, content: str) -> Bullet:
    slug = SECTIONS[number % len(SECTIONS)].slug
    return Bullet(bullet_id(slug, number), slug, content)


_VERBS = ("convert", "check", "round", "compare", "add", "ignore", "divide", "read")
_NOUNS = ("balance", "rate", "table", "header", "date", "unit", "total", "footnote", "column", "sign")


def _advice(limit: str, rng: random.Random) -> str:
    first, second, third, fourth = rng.sample(_NOUNS, 4)
    do, then = rng.sample(_VERBS, 2)
    return f"Where the {first} is over {limit}, {do} the {second} with the {third} and {then} the {fourth} of the page."


def _timed(operation: _Operation) -> float:
    playbook = operation.playbook()
    started = time.perf_counter()
    operation.work(playbook)
    return (time.perf_counter() - started) * 1e3


def growth_exponent(measured: Mapping[int, float]) -> float:
    """The exponent of the power law through the sizes, small ones aside: fixed costs rule there."""
    import numpy as np

    sizes = list(measured)[1:] if len(measured) > 2 else list(measured)
    slope: float = np.polyfit(np.log(sizes), np.log([measured[size] for size in sizes]), 1)[0]
    return float(slope)
