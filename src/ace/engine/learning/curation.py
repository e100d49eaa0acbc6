"""From a batch's reflections to one playbook version: group, curate, guard, merge, dedup, apply, keep the budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar

from ace.engine.calls.call_gateway import SAMPLE_ERRORS
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.events import BulletFlagged, CurationFailed
from ace.engine.feedback.signals import shown
from ace.engine.learning.bullet_trials import try_bullets
from ace.engine.learning.early_stopping import insight_parts
from ace.engine.learning.lessons import Lesson, collect_lessons
from ace.engine.loop.sample_loop import SampleResult
from ace.playbook import (
    Add,
    Delta,
    Merge,
    Playbook,
    Provenance,
    Remove,
    SkippedOperation,
    Update,
    apply,
    dedup_delta,
    enforce_budget,
    merge_deltas,
    recall,
    visible_playbook,
)
from ace.playbook.guard import Guard
from ace.roles import CallRecord, Reflection, tags_to_delta, to_delta
from ace.types import Sample

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class CuratedBatch:
    """The batch's merged delta, what it made of the playbook, and the curators' calls."""

    playbook: Playbook
    delta: Delta
    skipped: tuple[SkippedOperation, ...]
    calls: tuple[CallRecord, ...]


async def curate_batch(
    context: RunContext,
    playbook: Playbook,
    prefix: str,
    results: Sequence[SampleResult],
    *,
    batch: int,
    visible: Playbook | None = None,
) -> CuratedBatch:
    """Make one playbook version of all that the batch's samples propose, in sample order: tags first, then operations.

    A curator call that fails loses its group's insights and nothing else. `visible` is what `prefix` shows of
    `playbook` (all of it if None): only that can be changed.
    """
    visible = playbook if visible is None else visible
    lessons, reflected = await collect_lessons(context, prefix, results, batch=batch)
    groups = split_groups(lessons, context.settings.adaptation.curator_groups)
    curated: Sequence[tuple[Delta, tuple[CallRecord, ...]]]
    if context.settings.adaptation.curation == "append":
        curated = [(_append(context, playbook, lessons, batch=batch), ())]
    else:
        curated = await gather_all(
            _curate(context, playbook, prefix, group, batch=batch, number=n) for n, group in enumerate(groups)
        )
    deltas = [visible_playbook(delta, playbook, visible) for delta, _ in curated]
    calls = reflected + tuple(call for _, calls in curated for call in calls)
    if context.settings.adaptation.curator_reduce and sum(1 for delta in deltas if delta.operations) > 1:
        reduced, more = await _reduce(context, playbook, prefix, deltas, lessons, batch=batch, number=len(groups))
        deltas, calls = [visible_playbook(delta, playbook, visible) for delta in reduced], calls + more
    proposed = [*(_tags(result) for result in results), *deltas]
    settings = context.settings
    guard = Guard(
        settings.playbook.guard,
        shown(settings, [result.sample for result in results]),
        shown(settings, context.task.splits.train),
    )
    admitted = [guard.admit(playbook, delta) for delta in proposed]
    return await _apply(context, playbook, visible, admitted, results, calls, guard, batch=batch)


def split_groups(items: Sequence[Item], groups: int | Literal["auto"]) -> list[tuple[Item, ...]]:
    """Cut `items` into that many groups, in order and of even size.

    `auto` makes ceil(sqrt(n)): one curator over too many reflections loses what they said (Combee, arXiv 2604.04247).
    """
    if not items:
        return []
    count = math.ceil(math.sqrt(len(items))) if groups == "auto" else min(groups, len(items))
    cuts = [len(items) * number // count for number in range(count + 1)]
    return [tuple(items[start:end]) for start, end in pairwise(cuts)]


async def _curate(
    context: RunContext,
    playbook: Playbook,
    prefix: str,
    group: Sequence[Lesson],
    *,
    batch: int,
    number: int,
) -> tuple[Delta, tuple[CallRecord, ...]]:
    return await ask_curator(
        context,
        playbook,
        prefix,
        [lesson.reflection for lesson in group],
        touched=[bullet for lesson in group for bullet in lesson.used],
        samples=[result.sample for lesson in group for result in lesson.results],
        batch=batch,
        number=number,
    )


def _append(context: RunContext, playbook: Playbook, lessons: Sequence[Lesson], *, batch: int) -> Delta:
    """Each insight as a bullet of the first section."""
    section = playbook.sections[0].slug if playbook.sections else "note"
    separator = context.pack.insight_separator
    return Delta(
        tuple(
            Add(
                section=section,
                content=" ".join(part.split()),
                provenance=Provenance(
                    run=context.run,
                    batch=batch,
                    sample=", ".join(result.sample.id for result in lesson.results),
                    role="reflector",
                ),
            )
            for lesson in lessons
            for part in insight_parts(lesson.reflection.key_insight, separator)
        )
    )


async def _reduce(
    context: RunContext,
    playbook: Playbook,
    prefix: str,
    deltas: Sequence[Delta],
    lessons: Sequence[Lesson],
    *,
    batch: int,
    number: int,
) -> tuple[Sequence[Delta], tuple[CallRecord, ...]]:
    """One set of changes of what the groups proposed: their contents are the insights of one more curator call.

    Removals stand as they are. Where the call fails, cannot be read or proposes nothing, the groups' own changes stay.
    """
    operations = [operation for delta in deltas for operation in delta.operations]
    contents = [operation.content for operation in operations if isinstance(operation, Add | Update | Merge)]
    delta, calls = await ask_curator(
        context,
        playbook,
        prefix,
        [Reflection(key_insight=content) for content in contents],
        touched=[bullet for lesson in lessons for bullet in lesson.used],
        samples=[result.sample for lesson in lessons for result in lesson.results],
        batch=batch,
        number=number,
    )
    if not delta.operations:
        return deltas, calls
    return [delta, Delta(tuple(operation for operation in operations if isinstance(operation, Remove)))], calls


async def ask_curator(
    context: RunContext,
    playbook: Playbook,
    prefix: str,
    reflections: Sequence[Reflection],
    *,
    touched: Sequence[str],
    samples: Sequence[Sample],
    batch: int,
    number: int,
) -> tuple[Delta, tuple[CallRecord, ...]]:
    """What the curator makes of `reflections` on `samples`; nothing where its call fails or cannot be read."""
    try:
        result = await context.roles.curate(
            playbook, prefix, reflections, touched=touched, purpose=f"batch-{batch}", group=number
        )
    except SAMPLE_ERRORS as error:
        text = f"{type(error).__name__}: {error}"
        context.curation_errors.setdefault(batch, []).append(f"curator: {text}")
        context.listener(CurationFailed(batch, number, text))
        return Delta(()), ()
    if result is None:
        return Delta(()), ()
    if result.value is None:
        return Delta(()), result.calls
    provenance = Provenance(
        run=context.run,
        batch=batch,
        sample=", ".join(sample.id for sample in samples),
        role="curator",
        model=result.call.model,
    )
    return to_delta(result.value, provenance, playbook.sections), result.calls


def _tags(result: SampleResult) -> Delta:
    """What one sample says of the bullets: its first reflection judges the answer that the playbook alone led to."""
    tags = result.reflections[0].bullet_tags if result.reflections else ()
    return tags_to_delta(tags, result.used)


async def _apply(
    context: RunContext,
    playbook: Playbook,
    visible: Playbook,
    proposed: Sequence[Delta],
    results: Sequence[SampleResult],
    calls: tuple[CallRecord, ...],
    guard: Guard,
    *,
    batch: int,
) -> CuratedBatch:
    settings = context.settings.playbook
    delta = merge_deltas(proposed)
    dropped: tuple[SkippedOperation, ...] = ()
    if settings.dedup.enabled:
        deduped = dedup_delta(playbook, delta, context.embedder, settings.dedup.threshold)
        delta, dropped = recall(deduped, playbook, visible)
    tried = await try_bullets(context, playbook, delta, results, batch=batch)
    dropped, calls = dropped + tried.rejected, calls + tried.calls
    return apply_within_budget(context, playbook, tried.delta, dropped, calls, guard, batch=batch)


def apply_within_budget(
    context: RunContext,
    playbook: Playbook,
    delta: Delta,
    dropped: tuple[SkippedOperation, ...],
    calls: tuple[CallRecord, ...],
    guard: Guard,
    *,
    batch: int,
) -> CuratedBatch:
    """Apply `delta`, say what the guard found in it, and evict what the token budget cannot hold."""
    settings = context.settings.playbook
    applied = apply(playbook, delta)
    for flagged in guard.flagged(applied):
        context.listener(BulletFlagged(batch, flagged.id, flagged.reasons, flagged.quarantined))
    after, operations = applied.playbook, delta.operations
    if settings.token_budget is not None:
        held = enforce_budget(after, context.count_tokens, settings.token_budget, context.pack.formats)
        after, operations = held.playbook, operations + held.delta.operations
    return CuratedBatch(after, Delta(operations), dropped + applied.skipped, calls)
