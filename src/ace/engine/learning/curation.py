"""Curation of a batch: deltas of the curators, guarded, merged, deduplicated, applied and kept within the budget."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar

from ace.engine.calls.call_gateway import SAMPLE_ERRORS
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.events import BulletFlagged, CurationFailed
from ace.engine.learning.bullet_trials import try_bullets
from ace.engine.learning.lessons import Lesson, collect_lessons
from ace.engine.learning.sample_result import SampleResult
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


class Curator:
    """Turns the results of one batch into the next playbook version: tags first, then operations, in sample order.

    `visible` is what prompts show of `playbook` (all of it if None); only that can be changed.
    """

    def __init__(
        self,
        context: RunContext,
        playbook: Playbook,
        results: Sequence[SampleResult],
        *,
        batch: int,
        visible: Playbook | None = None,
    ) -> None:
        self._context, self._playbook, self._results, self._batch = context, playbook, results, batch
        self._visible = playbook if visible is None else visible
        settings = context.settings
        self.guard = Guard(
            settings.playbook.guard,
            self._permitted(result.sample for result in results),
            self._permitted(context.task.splits.train),
        )
        self._calls: dict[int, tuple[CallRecord, ...]] = {}  # in order of their keys: groups finish in any order

    def _permitted(self, samples: Iterable[Sample]) -> list[Sample]:
        """The samples, with their targets only where labels are given."""
        labelled = self._context.settings.adaptation.has_labels
        return [sample if labelled else sample.without_target() for sample in samples]

    async def curate(self, prefix: str) -> CuratedBatch:
        """Curate the batch's lessons in groups. A curator call that fails loses its group's insights and no others."""
        adaptation = self._context.settings.adaptation
        lessons, calls = await collect_lessons(self._context, self._results, batch=self._batch)
        self._calls[-1] = calls
        groups = split_groups(lessons, adaptation.curator_groups)
        if adaptation.curation == "append":
            deltas = [self._append(lessons)]
        else:
            deltas = await gather_all(self._curate_group(prefix, group, n) for n, group in enumerate(groups))
        if adaptation.curator_reduce and sum(1 for delta in deltas if delta.operations) > 1:
            deltas = await self._reduce(prefix, deltas, lessons, len(groups))
        proposed = [*map(_tags, self._results), *deltas]
        delta = merge_deltas([self.guard.admit(self._playbook, delta) for delta in proposed])
        delta, repeated = self._deduplicate(delta)
        tried = await try_bullets(self._context, self._playbook, delta, self._results, batch=self._batch)
        self._calls[len(groups) + 1] = tried.calls
        return self.apply(tried.delta, repeated + tried.rejected)

    async def propose(
        self,
        playbook: Playbook,
        prefix: str,
        reflections: Sequence[Reflection],
        *,
        touched: Sequence[str],
        samples: Sequence[Sample],
        number: int,
    ) -> Delta:
        """Ask the curator for operations on `playbook`. Empty where its call fails or cannot be parsed."""
        context = self._context
        try:
            result = await context.roles.curate(
                playbook, prefix, reflections, touched=touched, purpose=f"batch-{self._batch}", group=number
            )
        except SAMPLE_ERRORS as error:
            text = f"{type(error).__name__}: {error}"
            context.curation_errors.setdefault(self._batch, []).append(f"curator: {text}")
            context.listener(CurationFailed(self._batch, number, text))
            return Delta(())
        if result is None:
            return Delta(())
        self._calls[number] = result.calls
        if result.value is None:
            return Delta(())
        provenance = Provenance(
            run=context.run,
            batch=self._batch,
            sample=", ".join(sample.id for sample in samples),
            role="curator",
            model=result.call.model,
        )
        return to_delta(result.value, provenance, playbook.sections)

    def apply(self, delta: Delta, skipped: tuple[SkippedOperation, ...] = ()) -> CuratedBatch:
        """Apply `delta`, report what the guard found in it, and evict what exceeds the token budget."""
        context = self._context
        applied = apply(self._playbook, delta)
        for flagged in self.guard.flagged(applied):
            context.listener(BulletFlagged(self._batch, flagged.id, flagged.reasons, flagged.quarantined))
        playbook, operations = applied.playbook, delta.operations
        if (budget := context.token_budget) is not None:
            evicted = enforce_budget(playbook, context.count_tokens, budget, context.pack.formats)
            playbook, operations = evicted.playbook, operations + evicted.delta.operations
        return CuratedBatch(playbook, Delta(operations), skipped + applied.skipped, self._ordered_calls())

    def unchanged(self) -> CuratedBatch:
        """Keep the playbook, and the calls that proposed nothing."""
        return CuratedBatch(self._playbook, Delta(()), (), self._ordered_calls())

    def _ordered_calls(self) -> tuple[CallRecord, ...]:
        return tuple(call for group in sorted(self._calls) for call in self._calls[group])

    def _append(self, lessons: Sequence[Lesson]) -> Delta:
        """Each insight as a bullet of the first section, without a call."""
        sections = self._playbook.sections
        operations = [
            Add(
                section=sections[0].slug if sections else "note",
                content=" ".join(part.split()),
                provenance=Provenance(
                    run=self._context.run,
                    batch=self._batch,
                    sample=", ".join(result.sample.id for result in lesson.results),
                    role="reflector",
                ),
            )
            for lesson in lessons
            for part in self._context.pack.split_insights(lesson.reflection.key_insight)
        ]
        return Delta(tuple(operations))

    async def _curate_group(self, prefix: str, group: Sequence[Lesson], number: int) -> Delta:
        delta = await self.propose(
            self._playbook,
            prefix,
            [lesson.reflection for lesson in group],
            touched=[bullet for lesson in group for bullet in lesson.used],
            samples=[result.sample for lesson in group for result in lesson.results],
            number=number,
        )
        return visible_playbook(delta, self._playbook, self._visible)

    async def _reduce(
        self, prefix: str, deltas: Sequence[Delta], lessons: Sequence[Lesson], number: int
    ) -> list[Delta]:
        """Curate the groups' proposals once more: their contents are the insights of one call over all groups.

        Removals stay as they are. Where the call fails or proposes nothing, the groups' own changes stay.
        """
        operations = [operation for delta in deltas for operation in delta.operations]
        contents = [operation.content for operation in operations if isinstance(operation, Add | Update | Merge)]
        delta = await self.propose(
            self._playbook,
            prefix,
            [Reflection(key_insight=content) for content in contents],
            touched=[bullet for lesson in lessons for bullet in lesson.used],
            samples=[result.sample for lesson in lessons for result in lesson.results],
            number=number,
        )
        if not delta.operations:
            return list(deltas)
        removals = Delta(tuple(operation for operation in operations if isinstance(operation, Remove)))
        return [visible_playbook(delta, self._playbook, self._visible) for delta in (delta, removals)]

    def _deduplicate(self, delta: Delta) -> tuple[Delta, tuple[SkippedOperation, ...]]:
        dedup = self._context.settings.playbook.dedup
        if not dedup.enabled:
            return delta, ()
        deduped = dedup_delta(self._playbook, delta, self._context.embedder, dedup.threshold)
        return recall(deduped, self._playbook, self._visible)


def split_groups(items: Sequence[Item], groups: int | Literal["auto"]) -> list[tuple[Item, ...]]:
    """Cut `items` into that many groups, in order and of even size.

    `auto` makes ceil(sqrt(n)): one curator over too many reflections loses what they said (Combee, arXiv 2604.04247).
    """
    if not items:
        return []
    count = math.ceil(math.sqrt(len(items))) if groups == "auto" else min(groups, len(items))
    cuts = [len(items) * number // count for number in range(count + 1)]
    return [tuple(items[start:end]) for start, end in pairwise(cuts)]


def _tags(result: SampleResult) -> Delta:
    """Tags of the first reflection, which judges the answer that the playbook alone led to."""
    tags = result.reflections[0].bullet_tags if result.reflections else ()
    return tags_to_delta(tags, result.used)
