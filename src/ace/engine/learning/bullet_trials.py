"""New bullets are tried before they are committed: the batch's samples are answered once more behind each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.feedback.signals import has_labels
from ace.engine.loop.attempt import Attempt, attempt
from ace.engine.loop.sample_loop import SampleResult
from ace.playbook import Add, Delta, Merge, Operation, Playbook, SkippedOperation, Update, apply
from ace.roles import CallRecord


@dataclass(frozen=True, slots=True)
class TriedBullets:
    """The operations that stay, those that do not, and the generator's calls that told."""

    delta: Delta
    rejected: tuple[SkippedOperation, ...] = ()
    calls: tuple[CallRecord, ...] = ()


async def try_bullets(
    context: RunContext, playbook: Playbook, delta: Delta, results: Sequence[SampleResult], *, batch: int
) -> TriedBullets:
    """Keep what mends more samples than it breaks; all of it goes to the engine at once.

    Each ADD, UPDATE and MERGE of `delta` is tried alone on up to `adaptation.try_bullets` of `results`: two thirds were
    answered wrongly, those that the bullet came from first, the others right. Without labels nothing is tried.
    """
    most = context.settings.adaptation.try_bullets
    tried = [operation for operation in delta.operations if isinstance(operation, Add | Update | Merge)]
    if not most or not tried or not has_labels(context.settings):
        return TriedBullets(delta)
    trials = [(operation, _choose(operation, results, most)) for operation in tried]
    answers = await gather_all(
        _answer(context, playbook, operation, chosen, purpose=f"batch-{batch}-trial-{number}")
        for number, (operation, chosen) in enumerate(trials)
    )
    rejected: list[SkippedOperation] = []
    for (operation, chosen), attempts in zip(trials, answers, strict=True):
        changes = [_change(result, made) for result, made in zip(chosen, attempts, strict=True)]
        mended, broken = changes.count(1), changes.count(-1)
        if mended <= broken:
            reason = f"tried on {len(chosen)} samples, it mends {mended} and breaks {broken}"
            rejected.append(SkippedOperation(operation, reason))
    dropped = {id(skipped.operation) for skipped in rejected}
    kept = tuple(operation for operation in delta.operations if id(operation) not in dropped)
    calls = tuple(call for attempts in answers for made in attempts for call in made.calls)
    return TriedBullets(Delta(kept), tuple(rejected), calls)


def _choose(operation: Add | Update | Merge, results: Sequence[SampleResult], most: int) -> list[SampleResult]:
    """Samples that can tell: wrong ones, those of the bullet's provenance first, and right ones."""
    origin = set((operation.provenance.sample or "").split(", "))
    wrong = [result for result in results if result.outcome.first_correct is False]
    right = [result for result in results if result.outcome.first_correct is True]
    wrong.sort(key=lambda result: result.sample.id not in origin)
    shown = wrong[: max(most - len(right), -(-2 * most // 3))]
    return [*shown, *right[: most - len(shown)]]


async def _answer(
    context: RunContext, playbook: Playbook, operation: Operation, results: Sequence[SampleResult], *, purpose: str
) -> Sequence[Attempt]:
    prefix = context.render(apply(playbook, Delta((operation,))).playbook)
    return await gather_all(attempt(context, prefix, result.sample, purpose=purpose) for result in results)


def _change(result: SampleResult, made: Attempt) -> int:
    """1 where the answer is right now, -1 where it was right before; an attempt that failed says nothing."""
    if made.score is None:
        return 0
    return int(made.score.correct) - int(result.outcome.first_correct is True)
