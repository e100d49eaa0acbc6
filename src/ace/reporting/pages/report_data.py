"""The data of a run's report, read from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ace.config import PriceSettings
from ace.engine import RunSummary
from ace.engine.calls.spending import cost
from ace.experiments.statistics import Interval, mean_interval
from ace.playbook import Bullet, Playbook
from ace.reporting.bullet_credit import current_credit
from ace.store import CreditRecord, EvaluationInfo, FailureRecord, RoleUsage, Run, RunReader
from ace.types import ROLES, Message, RoleName

MAX_FAILURES = 200
"""Failures, and wrong answers, listed with their texts; further ones are counted."""
MAX_CHARACTERS = 6_000
"""Characters of a prompt or an answer that a list shows."""


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
    """A stretch of the run's time: a batch or an evaluation, in seconds since the run was created.

    `tokens_per_s` are the generated ones, `in_flight` is the mean number of calls at the same time.
    """

    kind: str
    name: str
    begin_s: float
    end_s: float
    tokens_per_s: float = 0.0
    in_flight: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A sample that failed, or an answer that could not be read or is wrong: where, why, and what the model wrote.

    `prompt` is the text after the part that all calls share; `request` is the digest of the request.
    """

    place: str
    sample: str
    role: str
    cause: str
    answer: str
    prompt: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """One run as a report shows it.

    `usage` is by role, `cost` is money by role where a model has a price. `causes` counts the error texts of all
    failures. `wrong` are the wrong answers of the last evaluation, `credit` is the measured one by bullet.
    """

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
    cost: Mapping[RoleName, float] = field(default_factory=dict)
    wrong: tuple[Failure, ...] = ()
    wrong_count: int = 0
    credit: Mapping[str, CreditRecord] = field(default_factory=dict)

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
    causes = store.failure_causes(run_id)
    wrong, wrong_count = _wrong_answers(store, run_id, evaluations)
    versions = store.playbook_versions(run_id)
    best = run.best_version if run.best_version is not None else (versions[-1].version if versions else 0)
    playbook = store.playbook(run_id, best)
    return ReportedRun(
        run=run,
        curve=tuple(_curve_point(each) for each in evaluations),
        batches=_batch_points(store, run),
        phases=_phases(store, run, evaluations),
        usage={role: usage for role, usage in store.usage_by_role(run_id).items() if role in ROLES},
        stops=store.stops(run_id),
        failures=_failures(store, run_id, evaluations),
        failure_count=sum(causes.values()),
        causes=dict(list(causes.items())[:20]),
        playbook=playbook,
        best_version=best,
        cost=_cost(store, run),
        wrong=wrong,
        wrong_count=wrong_count,
        credit=current_credit(store.credit(run_id), playbook.bullets),
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
    versions = {version.batch: version for version in store.playbook_versions(run.id) if version.author is None}
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


def _phases(store: RunReader, run: Run, evaluations: Sequence[EvaluationInfo]) -> tuple[Phase, ...]:
    usage = {(each.batch, each.evaluation): each for each in store.usage_by_place(run.id)}

    def phase(kind: str, name: str, place: tuple[int | None, int | None], started: datetime, ended: datetime) -> Phase:
        used, lasted = usage.get(place), (ended - started).total_seconds()
        tokens, calls = (used.completion_tokens / lasted, used.call_s / lasted) if used and lasted > 0 else (0.0, 0.0)
        return Phase(kind, name, _since(run, started), _since(run, ended), tokens, calls)

    phases = [
        phase("batch", f"batch {batch.index + 1}", (batch.index, None), batch.started, batch.finished)
        for batch in store.batches(run.id)
    ]
    phases += [
        phase("evaluation", f"{each.label} ({each.split})", (None, each.index), each.started, each.finished)
        for each in evaluations
    ]
    return tuple(sorted(phases, key=lambda phase: phase.begin_s))


def _failures(store: RunReader, run_id: str, evaluations: Sequence[EvaluationInfo]) -> tuple[Failure, ...]:
    records = store.failures(run_id, MAX_FAILURES)[:MAX_FAILURES]
    prompts = store.prompts([record.request for record in records if record.request])
    return tuple(
        Failure(
            _place(record, evaluations),
            record.sample_id or "",
            record.role or "",
            record.error,
            _shortened(record.text),
            _own_prompt(prompts.get(record.request or "", ())),
            record.request or "",
        )
        for record in records
    )


def _place(record: FailureRecord, evaluations: Sequence[EvaluationInfo]) -> str:
    if record.evaluation is not None:
        return evaluations[record.evaluation].label
    return f"batch {(record.batch or 0) + 1}"


def _wrong_answers(
    store: RunReader, run_id: str, evaluations: Sequence[EvaluationInfo]
) -> tuple[tuple[Failure, ...], int]:
    """The first wrong answers of the last evaluation, and the number of all of them."""
    if not evaluations:
        return (), 0
    last = evaluations[-1]
    wrong = [one for one in store.outcomes(run_id, evaluation=last.index) if one.correct is False]
    calls = {call.sample_id: call for call in store.calls(run_id, evaluation=last.index) if call.role == "generator"}
    listed = [(outcome, calls.get(outcome.sample_id)) for outcome in wrong[:MAX_FAILURES]]
    prompts = store.prompts([call.digest for _, call in listed if call is not None])
    answers = tuple(
        Failure(
            last.label,
            outcome.sample_id,
            "generator",
            outcome.answer,
            _shortened(call.text if call else ""),
            _own_prompt(prompts.get(call.digest, ()) if call else ()),
            call.digest if call else "",
        )
        for outcome, call in listed
    )
    return answers, len(wrong)


def _own_prompt(messages: Sequence[Message]) -> str:
    """The messages but the system message, which all calls behind one playbook share."""
    return _shortened("\n\n".join(message.content for message in messages if message.role != "system"))


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[:MAX_CHARACTERS]}\n[{len(text) - MAX_CHARACTERS} more characters]"


def _cost(store: RunReader, run: Run) -> dict[RoleName, float]:
    """Money by role, empty where no model has a price."""
    roles, models = run.settings["roles"], run.settings["models"]
    if not any(model.get("price") for model in models.values()):
        return {}
    money: dict[RoleName, float] = dict.fromkeys(ROLES, 0.0)
    for (role, escalated), used in store.usage_by_tier(run.id).items():
        settings = roles[role]["escalate"] if escalated else roles[role]
        price = models[settings["model"]].get("price")
        money[role] = money.get(role, 0.0) + cost(used.usage, PriceSettings(**price) if price else None)
    return money


def _since(run: Run, moment: datetime) -> float:
    return max(0.0, (moment - run.created).total_seconds())
