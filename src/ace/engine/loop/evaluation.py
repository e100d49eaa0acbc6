"""Evaluation: one answer to each sample of a split with one playbook, all of them in flight at once."""

from __future__ import annotations

from collections.abc import Sequence

from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.events import EvaluationFinished, EvaluationProgress, EvaluationStarted
from ace.engine.feedback.attempt import Attempt, PromptedSample, attempt
from ace.engine.loop.shown_bullets import select_bullets
from ace.playbook import Playbook
from ace.store.records import EvaluationRecord, OutcomeRecord, utcnow
from ace.tasks import abilities_of
from ace.types import Sample


async def evaluate(
    context: RunContext,
    playbook: Playbook,
    samples: Sequence[Sample],
    *,
    label: str,
    split: str,
    after_batch: int | None,
    purpose: str | None = None,
) -> float:
    """Answer `samples` with `playbook`, commit the evaluation in one transaction and return the accuracy.

    A failed sample is recorded as failed; it stays in the denominator of the accuracy. `purpose` (the label if None)
    decides the seeds of the sampling.
    """
    started = utcnow()
    context.listener(EvaluationStarted(label, split, len(samples), playbook.version))
    prefix = context.render(select_bullets(context, playbook, samples))
    done = correct = 0

    async def answer(sample: Sample) -> Attempt:
        nonlocal done, correct
        result = await attempt(PromptedSample(context, prefix, sample, label if purpose is None else purpose))
        done += 1
        correct += bool(result.score and result.score.correct)
        context.listener(EvaluationProgress(label, done, len(samples), correct))
        return result

    attempts = await gather_all(answer(sample) for sample in samples)
    outcomes = tuple(
        outcome_of(i, sample, answered) for i, (sample, answered) in enumerate(zip(samples, attempts, strict=True))
    )
    metrics = await measure(context, samples, outcomes)
    record = EvaluationRecord(
        run=context.run,
        label=label,
        split=split,
        playbook_version=playbook.version,
        outcomes=outcomes,
        calls=tuple(call for a in attempts for call in a.calls),
        after_batch=after_batch,
        metrics=metrics,
        started=started,
        finished=utcnow(),
    )
    context.store.commit_evaluation(record)
    failed = sum(a.score is None for a in attempts)
    accuracy = correct / len(samples) if samples else 0.0
    context.listener(EvaluationFinished(label, split, len(samples), correct, failed, accuracy, playbook.version))
    return accuracy


async def measure(
    context: RunContext, samples: Sequence[Sample], outcomes: Sequence[OutcomeRecord]
) -> dict[str, float]:
    """Compute the mean score, where it differs from the share of right answers, and the task's own metrics."""
    values = [outcome.value or 0.0 for outcome in outcomes]
    metrics = {"mean_score": sum(values) / len(values)} if any(value not in (0.0, 1.0) for value in values) else {}
    if measuring := abilities_of(context.task).measuring:
        answers = [outcome.answer if outcome.status == "scored" else None for outcome in outcomes]
        graded = list(zip(samples, answers, strict=True))
        metrics.update(await context.blocking_pool.run(measuring.metrics, graded))
    return metrics


def outcome_of(position: int, sample: Sample, result: Attempt) -> OutcomeRecord:
    """Make the record of an answered sample."""
    if result.score is None:
        return OutcomeRecord(sample.id, position, "failed", answer=result.answer, error=result.error)
    return OutcomeRecord(
        sample.id,
        position,
        answer=result.answer,
        value=result.score.value,
        correct=result.score.correct,
        first_correct=result.score.correct,
    )
