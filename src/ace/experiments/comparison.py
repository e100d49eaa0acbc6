"""Comparison of evaluations of the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ace.errors import DataError
from ace.experiments.outcomes import EvaluatedRun, right, score
from ace.experiments.statistics import (
    Interval,
    PairedTest,
    detectable_difference,
    holm,
    mean_interval,
    paired_test,
    samples_needed,
)
from ace.store import OutcomeRecord

Measure = Literal["right", "score"]
"""The share of right answers, or the mean grade."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: its mean with an interval, and how many samples failed (they count as not right)."""

    run: str
    label: str
    playbook_version: int
    mean: float
    interval: Interval
    failed: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A sample that one side has more of right than the other."""

    sample: str
    better: Literal["a", "b"]
    answer_a: str
    answer_b: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`b` against `a` on the samples that both evaluated.

    `p_corrected` is Holm's for the number of comparisons made at once. `samples_needed` is the number of samples
    that shows `target_difference` (a share) with 80% power at 5%, `detectable` the smallest difference that these
    samples show; both are for right and wrong.
    """

    measure: Measure
    a: Side
    b: Side
    test: PairedTest
    p_corrected: float
    target_difference: float
    samples_needed: int
    detectable: float | None
    disagreements: tuple[Disagreement, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare_evaluations(
    base: EvaluatedRun,
    others: Sequence[EvaluatedRun],
    *,
    measure: Measure = "right",
    target: float = 0.05,
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """Each of `others` against `base`. DataError where they did not evaluate the same samples."""
    pairs = [(other, paired(base, other, measure, seed=seed)) for other in others]
    corrected = holm([test.p for _, test in pairs])
    return tuple(
        _comparison(base, other, test, p, measure, target, seed)
        for (other, test), p in zip(pairs, corrected, strict=True)
    )


def paired(base: EvaluatedRun, other: EvaluatedRun, measure: Measure, *, seed: int) -> PairedTest:
    """The paired test of two evaluations of the same samples."""
    if base.outcomes.keys() != other.outcomes.keys():
        only = sorted(base.outcomes.keys() ^ other.outcomes.keys())
        common = len(base.outcomes.keys() & other.outcomes.keys())
        raise DataError(
            f"{base.run} ({base.label}) and {other.run} ({other.label}) did not evaluate the same samples: "
            f"{common} in common, {len(only)} in one alone, such as {only[0]!r}",
            hint="compare runs over the same data, split and limit",
        )
    a = [_of(outcome, measure) for outcome in base.outcomes.values()]
    b = [_of(other.outcomes[sample], measure) for sample in base.outcomes]
    return paired_test(a, b, seed=seed)


def _of(outcome: OutcomeRecord, measure: Measure) -> float:
    return right(outcome) if measure == "right" else score(outcome)


def _comparison(
    base: EvaluatedRun, other: EvaluatedRun, test: PairedTest, p: float, measure: Measure, target: float, seed: int
) -> Comparison:
    noise = (2 * min(test.only_a, test.only_b) + 1) / (test.n + 2)  # of a small sample, 0 is no estimate
    return Comparison(
        measure=measure,
        a=_side(base, test.mean_a, measure, seed),
        b=_side(other, test.mean_b, measure, seed),
        test=test,
        p_corrected=p,
        target_difference=target,
        samples_needed=samples_needed(target, noise),
        detectable=detectable_difference(test.n, noise),
        disagreements=tuple(_disagreements(base, other, measure)),
    )


def _side(side: EvaluatedRun, mean: float, measure: Measure, seed: int) -> Side:
    values = [_of(outcome, measure) for outcome in side.outcomes.values()]
    return Side(side.run, side.label, side.playbook_version, mean, mean_interval(values, seed=seed), side.failed)


def _disagreements(base: EvaluatedRun, other: EvaluatedRun, measure: Measure) -> list[Disagreement]:
    disagreements = []
    for sample, a in base.outcomes.items():
        b = other.outcomes[sample]
        before, after = _of(a, measure), _of(b, measure)
        if before != after:
            disagreements.append(Disagreement(sample, "a" if before > after else "b", _answer(a), _answer(b)))
    return disagreements


def _answer(outcome: OutcomeRecord) -> str:
    return outcome.answer if outcome.status == "scored" else f"failed: {outcome.error}"
