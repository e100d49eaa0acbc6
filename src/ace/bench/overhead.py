"""What ace itself does for a batch, on playbooks of 100 to 99 000 bullets: five digits number a bullet.

No model is asked. The bullets are made-up advice, each different; the delta is what a batch brings: five ADDs, twenty
TAGs and one UPDATE, proposed sixteen times for the merge. Dedup compares a new bullet with those that have the same
numbers, names and negations: with few where bullets are about something in particular, and with all of them where they
are plain words alone, which is its worst case.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ace.bench.machine import Machine
from ace.bench.tables import report, table
from ace.playbook import (
    Add,
    Bullet,
    Delta,
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
from ace.prompts import load_pack

SIZES = (100, 1_000, 10_000, 99_000)
SECTIONS = (Section("str", "Strategies"), Section("fact", "Facts"))
THRESHOLD = 0.9
PROPOSALS = 16


@dataclass(frozen=True, slots=True)
class OverheadRow:
    """One operation: milliseconds by the number of bullets, medians; `growth` is the exponent from the second size on.

    1 is linear, 0 does not depend on the size.
    """

    operation: str
    milliseconds: dict[int, float]
    growth: float


@dataclass(frozen=True, slots=True)
class OverheadReport:
    """All operations, with what they were measured on."""

    rows: tuple[OverheadRow, ...]
    repetitions: int
    seed: int
    machine: Machine

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        command = f"ace bench overhead --repetitions {self.repetitions} --seed {self.seed}"
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
        for name, work in _operations(size, random.Random(seed)).items():
            work()  # warm-up
            taken = [_timed(work) for _ in range(repetitions)]
            times.setdefault(name, {})[size] = statistics.median(taken)
    rows = tuple(OverheadRow(name, measured, _growth(measured)) for name, measured in times.items())
    return OverheadReport(rows, repetitions, seed, Machine.here())


def _operations(size: int, rng: random.Random) -> Mapping[str, Callable[[], object]]:
    formats = load_pack("standard").formats
    bullets = [_bullet(number, _advice(str(number), rng)) for number in range(1, size + 1)]
    playbook = Playbook.of(bullets, SECTIONS)
    plain = Playbook.of([_bullet(number, _advice("zero", rng)) for number in range(1, size + 1)], SECTIONS)
    adds = tuple(Add("str", _advice(str(number % size), rng)) for number in range(1, 6))
    tags = tuple(Tag(bullet.id, "helpful") for bullet in bullets[:20])
    delta = Delta((*adds, *tags, Update(bullets[0].id, "another text")))
    one, plain_one = Delta(adds[:1]), Delta((Add("str", _advice("zero", rng)),))
    embedder = NgramEmbedder()
    return {
        "merge of 16 proposals": lambda: merge_deltas([delta] * PROPOSALS, playbook),
        "dedup of one bullet": lambda: dedup_delta(playbook, one, embedder, THRESHOLD),
        "dedup of one bullet, first of a new playbook": lambda: dedup_delta(
            Playbook.of(bullets, SECTIONS), one, embedder, THRESHOLD
        ),
        "dedup of one bullet, worst case": lambda: dedup_delta(plain, plain_one, embedder, THRESHOLD),
        "apply": lambda: apply(playbook, delta),
        "render": lambda: render(playbook, formats),
        "budget, kept": lambda: enforce_budget(playbook, len, 10**12, formats),
        "JSON for the store": playbook.to_json,
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


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def _growth(measured: Mapping[int, float]) -> float:
    """The exponent of the power law through the sizes, small ones aside: fixed costs rule there."""
    import numpy as np

    sizes = list(measured)[1:] if len(measured) > 2 else list(measured)
    slope: float = np.polyfit(np.log(sizes), np.log([measured[size] for size in sizes]), 1)[0]
    return float(slope)
