"""Trials of new bullets on samples of their batch, before they are committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.feedback.attempt import Attempt, PromptedSample, attempt
from ace.engine.learning.sample_result import SampleResult
from ace.playbook import Add, Delta, Merge, Operation, Playbook, SkippedOperation, Update, apply
from ace.roles import CallRecord


@dataclass(frozen=True, slots=True)
class TriedBullets:
    """Accepted and rejected operations, and the generator's calls of the trials."""

    delta: Delta
    rejected: tuple[SkippedOperation, ...] = ()
    calls: tuple[CallRecord, ...] = ()


async def try_bullets(
    context: RunContext, playbook: Playbook, delta: Delta, results: Sequence[SampleResult], *, batch: int
) -> TriedBullets:
    """Keep operations that correct more samples than they break. All trials are in flight at once.

    Each ADD, UPDATE and MERGE of `delta` is tried alone on up to `adaptation.try_bullets` of `results`: two thirds were
    answered wrongly, those that the bullet came from first, the others right. Without labels nothing is tried.
    """
    most = context.settings.adaptation.try_bullets
    tried = [operation for operation in delta.operations if isinstance(operation, Add | Update | Merge)]
    if not most or not tried or not context.settings.adaptation.has_labels:
        return TriedBullets(delta)
    trials = [(operation, _choose(operation, results, most)) for operation in tried]
    answers = await gather_all(
        _answer(context, playbook, operation, chosen, purpose=f"batch-{batch}-trial-{number}")
        for number, (operation, chosen) in enumerate(trials)
    )
    rejected: list[SkippedOperation] = []
    for (operation, chosen), attempts in zip(trials, answers, strict=True):
        changes = [_change(result, answered) for result, answered in zip(chosen, attempts, strict=True)]
        corrected, broken = changes.count(1), changes.count(-1)
        if corrected <= broken:
            reason = f"tried on {len(chosen)} samples, it corrects {corrected} and breaks {broken}"
            rejected.append(SkippedOperation(operation, reason))
    dropped = {id(skipped.operation) for skipped in rejected}
    accepted = tuple(operation for operation in delta.operations if id(operation) not in dropped)
    calls = tuple(call for attempts in answers for answered in attempts for call in answered.calls)
    return TriedBullets(Delta(accepted), tuple(rejected), calls)


def _choose(operation: Add | Update | Merge, results: Sequence[SampleResult], most: int) -> list[SampleResult]:
    """Choose samples for a trial: wrong ones, those of the bullet's provenance first, and right ones."""
    origin = set((operation.provenance.sample or "").split(", "))
    wrong = [result for result in results if result.outcome.first_correct is False]
    right = [result for result in results if result.outcome.first_correct is True]
    wrong.sort(key=lambda result: result.sample.id not in origin)
    chosen = wrong[: max(most - len(right), -(-2 * most // 3))]
    return [*chosen, *right[: most - len(chosen)]]


async def _answer(
    context: RunContext, playbook: Playbook, operation: Operation, results: Sequence[SampleResult], *, purpose: str
) -> Sequence[Attempt]:
    prefix = context.render(apply(playbook, Delta((operation,))).playbook)
    return await gather_all(attempt(PromptedSample(context, prefix, result.sample, purpose)) for result in results)


def _change(result: SampleResult, answered: Attempt) -> int:
    """1 if the answer became right, -1 if it became wrong, 0 if nothing changed or the attempt failed."""
    if answered.score is None:
        return 0
    return int(answered.score.correct) - int(result.outcome.first_correct is True)
