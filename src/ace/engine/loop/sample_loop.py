"""One sample's way through the loop: generate -> grade -> reflect and retry until right -> what it proposes."""

from __future__ import annotations

from dataclasses import dataclass, field

from ace.engine.context import RunContext
from ace.engine.events import SampleFinished
from ace.engine.feedback.feedback import collect_feedback
from ace.engine.feedback.signals import Signal, has_labels
from ace.engine.learning.early_stopping import Insights, StopReason, is_proven, is_spent
from ace.engine.loop.attempt import SAMPLE_ERRORS, Attempt, attempt
from ace.playbook import Playbook
from ace.roles import CallRecord, Reflection, reflection_text
from ace.store.records import OutcomeRecord
from ace.types import Sample


@dataclass(frozen=True, slots=True)
class SampleResult:
    """Result of one sample: its outcome, its calls, and the material for the batch's delta.

    `reflections` are those that were parsed, one a round; `used` are the bullets that the first answer cites.
    """

    sample: Sample
    outcome: OutcomeRecord
    calls: tuple[CallRecord, ...]
    reflections: tuple[Reflection, ...] = ()
    used: tuple[str, ...] = field(default=())


async def run_sample(
    context: RunContext, playbook: Playbook, prefix: str, sample: Sample, position: int, *, batch: int
) -> SampleResult:
    """Carry one sample through the loop of the paper (ACE, section 3), behind `playbook` rendered as `prefix`.

    A wrong answer gets up to `max_rounds` reflections with a retry after each, until one is right, or until early
    stopping sees nothing new in them. A right one gets a single reflection that tags the bullets, unless
    `reflect_on_success` is off or they are proven. One of which nothing tells whether it is right (without labels) gets
    a single reflection, and no retry.
    """
    purpose = f"batch-{batch}"
    first = await attempt(context, prefix, sample, purpose=purpose)
    signal, votes = await collect_feedback(context, prefix, sample, first, purpose=purpose, round=0)
    trail = _Trail(first, signal, calls=[*first.calls, *votes], error=first.error)
    if trail.signal is None:
        trail.stop = "error"
    elif trail.signal.right is False:
        await _correct(context, playbook, prefix, sample, trail, purpose=purpose)
    else:
        await _confirm(context, playbook, prefix, sample, trail, purpose=purpose)
    outcome = _outcome(sample, position, first, trail)
    context.listener(SampleFinished(batch, sample.id, outcome.first_correct, outcome.correct, trail.rounds))
    return SampleResult(
        sample=sample,
        outcome=outcome,
        calls=tuple(trail.calls),
        reflections=tuple(trail.reflections),
        used=_used(first),
    )


@dataclass(slots=True)
class _Trail:
    """What has happened to a sample so far; `last` is the latest answer that could be graded, `signal` what it got.

    Once it `stalled`, the larger reflector is asked.
    """

    last: Attempt
    signal: Signal | None
    calls: list[CallRecord]
    reflections: list[Reflection] = field(default_factory=list)
    rounds: int = 0
    stalled: bool = False
    error: str | None = None
    stop: StopReason = "rounds"


def _used(first: Attempt) -> tuple[str, ...]:
    return tuple(dict.fromkeys(first.output.bullet_ids)) if first.output else ()


async def _confirm(
    context: RunContext, playbook: Playbook, prefix: str, sample: Sample, trail: _Trail, *, purpose: str
) -> None:
    """The one reflection on an answer that is right, or of which nothing tells."""
    assert trail.signal is not None
    settings = context.settings.adaptation
    trail.stop = "ignore_partial" if trail.signal.right is None else "right"
    if trail.signal.right and not settings.reflect_on_success:
        return
    early = settings.early_stop
    if trail.signal.right and early.enabled and is_proven(playbook, _used(trail.last), early.proven):
        trail.stop = "proven"
        return
    await _reflect(context, prefix, sample, trail, purpose=purpose, round=0)


async def _correct(
    context: RunContext, playbook: Playbook, prefix: str, sample: Sample, trail: _Trail, *, purpose: str
) -> None:
    """Reflect on a wrong answer and try again, round by round."""
    settings = context.settings.adaptation
    insights = Insights(settings.early_stop, context.embedder, playbook, context.pack.insight_separator)
    begun = len(trail.calls)

    def spent() -> bool:
        return is_spent((call.usage for call in trail.calls[begun:]), settings.early_stop)

    for round in range(1, settings.max_rounds + 1):
        if spent():
            trail.stop = "budget"
            return
        trail.rounds = round
        reflection = await _reflect(context, prefix, sample, trail, purpose=purpose, round=round)
        if reflection is None:
            trail.stop = "error"
            return
        if (reason := insights.stop(reflection.key_insight)) is not None:
            if round < settings.max_rounds and _stalls(context, trail):
                continue
            trail.stop = reason
            return
        if spent():
            trail.stop = "budget"
            return
        text = reflection_text(context.pack, reflection)
        retry = await attempt(
            context, prefix, sample, purpose=purpose, reflection=text, round=round, grade=_grade(context, trail)
        )
        trail.calls.extend(retry.calls)
        if retry.score is None:
            trail.error, trail.stop = retry.error, "error"
            return
        trail.last = retry
        trail.signal, votes = await collect_feedback(context, prefix, sample, retry, purpose=purpose, round=round)
        trail.calls.extend(votes)
        if trail.signal is None or trail.signal.right is not False:
            trail.stop = "right" if trail.signal and trail.signal.right else "ignore_partial"
            return


def _stalls(context: RunContext, trail: _Trail) -> bool:
    """Whether the next reflection is the larger model's, because the smaller one has nothing new to say."""
    escalate = context.settings.roles.reflector.escalate
    trail.stalled = escalate is not None and escalate.stalled and trail.calls[-1].escalated is None
    return trail.stalled


def _grade(context: RunContext, trail: _Trail) -> float | None:
    """The last answer's, where labels are given."""
    return trail.last.score.value if trail.last.score is not None and has_labels(context.settings) else None


async def _reflect(
    context: RunContext, prefix: str, sample: Sample, trail: _Trail, *, purpose: str, round: int
) -> Reflection | None:
    """Reflect on the last answer. None, with the trail's `error` set, if there is no readable reflection."""
    assert trail.last.output is not None and trail.signal is not None
    try:
        result = await context.reflect(
            prefix,
            sample,
            trail.last.output,
            trail.signal.feedback,
            purpose=purpose,
            round=round,
            grade=_grade(context, trail),
            stalled=trail.stalled,
        )
    except SAMPLE_ERRORS as error:
        trail.error = f"{type(error).__name__}: {error}"
        return None
    trail.calls.extend(result.calls)
    if result.value is None:
        trail.error = f"ParseError: {result.error}"
        return None
    trail.reflections.append(result.value)
    return result.value


def _outcome(sample: Sample, position: int, first: Attempt, trail: _Trail) -> OutcomeRecord:
    score = trail.last.score
    if first.score is None or score is None:
        return OutcomeRecord(sample.id, position, "failed", answer=first.answer, error=trail.error, stop=trail.stop)
    return OutcomeRecord(
        sample.id,
        position,
        answer=trail.last.answer,
        value=score.value,
        correct=score.correct,
        rounds=trail.rounds,
        first_correct=first.score.correct,
        error=trail.error,
        stop=trail.stop,
    )
