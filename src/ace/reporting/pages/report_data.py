"""The data of a run's report, read from the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ace.engine import RunSummary
from ace.experiments.statistics import Interval, mean_interval
from ace.playbook import Bullet, Playbook
from ace.roles import CallRecord
from ace.store import EvaluationInfo, OutcomeRecord, RoleUsage, Run, RunReader
from ace.types import ROLES, RoleName

MAX_FAILURES = 200
"""Failures listed with their texts; further ones are counted."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One evaluation: accuracy in [0, 1] with its 95% interval, after so many batches (0: before the first)."""

    label: str
    split: str
    batches: int
    playbook_version: int
    n: int
    correct: int
    failed: int
    interval: Interval
    metrics: Mapping[str, float]

    @property
    def accuracy(self) -> float:
        return self.correct / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class BatchPoint:
    """One committed batch.

    `first_right` counts samples whose first answer was right, `corrected` those that a reflection put right; seconds
    are since the run was created.
    """

    index: int
    epoch: int
    playbook_version: int
    samples: int
    first_right: int
    corrected: int
    failed: int
    bullets: int
    operations: Mapping[str, int]
    skipped: int
    prompt_tokens: int
    cached_tokens: int
    begin_s: float
    end_s: float

    @property
    def cache_hit_rate(self) -> float | None:
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the run's time: a batch or an evaluation, in seconds since the run was created."""

    kind: str
    name: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A sample that failed, or an answer that could not be read: where, why, and what the model wrote."""

    place: str
    sample: str
    role: str
    cause: str
    answer: str


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """One run as a report shows it. `usage` is by role; `causes` counts the error texts of all failures."""

    run: Run
    curve: tuple[CurvePoint, ...]
    batches: tuple[BatchPoint, ...]
    phases: tuple[Phase, ...]
    usage: Mapping[RoleName, RoleUsage]
    stops: Mapping[str, int]
    failures: tuple[Failure, ...]
    failure_count: int
    causes: Mapping[str, int]
    playbook: Playbook
    best_version: int

    @property
    def bullets(self) -> tuple[Bullet, ...]:
        return self.playbook.bullets

    @property
    def summary(self) -> RunSummary | None:
        """The stored summary; None while the run goes on."""
        return None if self.run.summary is None else RunSummary.from_json(self.run.summary)


def collect_run(store: RunReader, run_id: str) -> ReportedRun:
    """Read one run. RunNotFoundError where there is none; StoreError where the store cannot be read."""
    run = store.run(run_id)
    evaluations = store.evaluations(run_id)
    failures, causes, count, stops = _failures(store, run_id, evaluations)
    versions = store.playbook_versions(run_id)
    best = run.best_version if run.best_version is not None else (versions[-1].version if versions else 0)
    return ReportedRun(
        run=run,
        curve=tuple(_curve_point(each) for each in evaluations),
        batches=_batch_points(store, run),
        phases=_phases(store, run, evaluations),
        usage={role: usage for role, usage in store.usage_by_role(run_id).items() if role in ROLES},
        stops=stops,
        failures=failures,
        failure_count=count,
        causes=causes,
        playbook=store.playbook(run_id, best),
        best_version=best,
    )


def _curve_point(evaluation: EvaluationInfo) -> CurvePoint:
    right = [1.0] * evaluation.correct + [0.0] * (evaluation.n - evaluation.correct)
    return CurvePoint(
        evaluation.label,
        evaluation.split,
        0 if evaluation.after_batch is None else evaluation.after_batch + 1,
        evaluation.playbook_version,
        evaluation.n,
        evaluation.correct,
        evaluation.failed,
        mean_interval(right),
        evaluation.metrics,
    )


def _batch_points(store: RunReader, run: Run) -> tuple[BatchPoint, ...]:
    versions = {version.batch: version for version in store.playbook_versions(run.id)}
    points = []
    for batch in store.batches(run.id):
        version = versions.get(batch.index)
        points.append(
            BatchPoint(
                batch.index,
                batch.epoch,
                batch.playbook_version,
                batch.samples,
                batch.correct - batch.corrected,
                batch.corrected,
                batch.failed,
                version.bullets if version else 0,
                version.operations if version else {},
                version.skipped if version else 0,
                batch.prompt_tokens,
                batch.cached_tokens,
                _since(run, batch.started),
                _since(run, batch.finished),
            )
        )
    return tuple(points)


def _phases(store: RunReader, run: Run, evaluations: tuple[EvaluationInfo, ...]) -> tuple[Phase, ...]:
    phases = [
        Phase("batch", f"batch {batch.index + 1}", _since(run, batch.started), _since(run, batch.finished))
        for batch in store.batches(run.id)
    ]
    phases += [
        Phase("evaluation", f"{each.label} ({each.split})", _since(run, each.started), _since(run, each.finished))
        for each in evaluations
    ]
    return tuple(sorted(phases, key=lambda phase: phase.begin_s))


def _failures(
    store: RunReader, run_id: str, evaluations: tuple[EvaluationInfo, ...]
) -> tuple[tuple[Failure, ...], Mapping[str, int], int, Mapping[str, int]]:
    failures: list[Failure] = []
    causes: Counter[str] = Counter()
    stops: Counter[str] = Counter()
    places: list[tuple[str, tuple[OutcomeRecord, ...], tuple[CallRecord, ...]]] = [
        (
            f"batch {batch.index + 1}",
            store.outcomes(run_id, batch=batch.index),
            store.calls(run_id, batch=batch.index),
        )
        for batch in store.batches(run_id)
    ]
    places += [
        (
            each.label,
            store.outcomes(run_id, evaluation=each.index),
            store.calls(run_id, evaluation=each.index),
        )
        for each in evaluations
    ]
    for place, outcomes, calls in places:
        stops.update(outcome.stop for outcome in outcomes if outcome.stop)
        for outcome in outcomes:
            if outcome.status == "failed":
                failures.append(Failure(place, outcome.sample_id, "", outcome.error or "", outcome.answer))
        for call in calls:
            if not call.parsed:
                failures.append(Failure(place, call.sample_id or "", call.role, call.error or "", call.text))
    causes.update(failure.cause for failure in failures)
    return tuple(failures[:MAX_FAILURES]), dict(causes.most_common(20)), len(failures), dict(stops.most_common())


def _since(run: Run, moment: datetime) -> float:
    return max(0.0, (moment - run.created).total_seconds())
