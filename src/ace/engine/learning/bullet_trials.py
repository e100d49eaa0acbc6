"""Trials of new bullets on samples of their batch, before they are committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.feedback.attempt import PromptedSample, attempt
from ace.engine.learning.sample_result import SampleResult
from ace.playbook import Add, Delta, Merge, Playbook, SkippedOperation, Update, apply
from ace.roles import CallRecord


@dataclass(frozen=True, slots=True)
class TriedBullets:
    """Accepted and rejected operations, and the generator's calls of the trial."""

    delta: Delta
    rejected: tuple[SkippedOperation, ...] = ()
    calls: tuple[CallRecord, ...] = ()


async def try_bullets(
    context: RunContext, playbook: Playbook, delta: Delta, results: Sequence[SampleResult], *, batch: int
) -> TriedBullets:
    """Keep operations whose bullets correct more samples than they break, or that right answers alone cite.

    Up to `adaptation.try_bullets` of `results` are answered once more, all at once, behind the playbook with all of
    `delta`. Each ADD, UPDATE and MERGE is judged by the answers that cite its bullet; one that no answer cites stays
    only where no sample that it came from was tried. Without labels nothing is tried.
    """
    most = context.settings.adaptation.try_bullets
    if not most or not context.settings.adaptation.has_labels:
        return TriedBullets(delta)
    applied = apply(playbook, delta)
    changed = [(done.operation, done.id) for done in applied.done if isinstance(done.operation, Add | Update | Merge)]
    if not changed:
        return TriedBullets(delta)
    chosen = _choose([_origin(operation) for operation, _ in changed], results, most)
    prefix = context.render(applied.playbook)
    attempts = await gather_all(
        attempt(PromptedSample(context, prefix, result.sample, f"batch-{batch}-trial")) for result in chosen
    )
    rejected: list[SkippedOperation] = []
    for operation, bullet in changed:
        citing = [
            (result.outcome.first_correct is True, answered.score.correct)
            for result, answered in zip(chosen, attempts, strict=True)
            if answered.score is not None and bullet in answered.cited
        ]
        corrected, broken = citing.count((False, True)), citing.count((True, False))
        if citing:
            stays = corrected > broken or all(right for _, right in citing)
        else:
            stays = _origin(operation).isdisjoint(result.sample.id for result in chosen)
        if not stays:
            cited = f"{len(citing)} of {len(chosen)} answers cite it"
            rejected.append(SkippedOperation(operation, f"{cited}: it corrects {corrected} and breaks {broken}"))
    dropped = {id(skipped.operation) for skipped in rejected}
    accepted = tuple(operation for operation in delta.operations if id(operation) not in dropped)
    calls = tuple(call for answered in attempts for call in answered.calls)
    return TriedBullets(Delta(accepted), tuple(rejected), calls)


def _origin(operation: Add | Update | Merge) -> set[str]:
    """Ids of the samples that the bullet came from."""
    return set((operation.provenance.sample or "").split(", "))


def _choose(origins: Sequence[set[str]], results: Sequence[SampleResult], most: int) -> list[SampleResult]:
    """Choose samples for a trial, at least a third of them right ones where there are as many.

    The wrong ones are in turn of those that each bullet came from, then the others.
    """
    wrong = {result.sample.id: result for result in results if result.outcome.first_correct is False}
    right = [result for result in results if result.outcome.first_correct is True]
    own = ([sample for sample in wrong if sample in origin] for origin in origins)
    in_turn = [sample for sample in chain.from_iterable(zip_longest(*own)) if sample is not None]
    order = list(dict.fromkeys([*in_turn, *wrong]))
    chosen = [wrong[sample] for sample in order[: max(most - len(right), -(-2 * most // 3))]]
    return [*chosen, *right[: most - len(chosen)]]
