"""One batch: concurrent samples behind one playbook version, committed as one record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ace.engine.concurrency.admission_window import Window
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.events import BatchCommitted, BatchStarted
from ace.engine.learning.baselines import few_shot, rewrite
from ace.engine.learning.curation import CuratedBatch, Curator
from ace.engine.learning.sample_result import SampleResult
from ace.engine.loop.prefix_compaction import compact
from ace.engine.loop.sample_loop import SampleLoop
from ace.engine.loop.schedule import BatchPlan
from ace.engine.loop.shown_bullets import select_epoch_bullets
from ace.playbook import Add, Merge, Playbook, Update, carried_out
from ace.store.records import BatchRecord, utcnow
from ace.types import Sample


@dataclass(frozen=True, slots=True)
class AnsweredSamples:
    """Results of a batch's samples with `playbook` in the prompt, rendered as `prefix`; none for `icl`."""

    playbook: Playbook
    prefix: str
    results: Sequence[SampleResult]
    started: datetime


async def run_samples(
    context: RunContext, playbook: Playbook, plan: BatchPlan, window: Window, *, width: int
) -> AnsweredSamples:
    """Run the samples of `plan` with `playbook` in the prompt, each as soon as fewer than `width` are in flight."""
    started = utcnow()
    context.listener(BatchStarted(plan.index, plan.epoch, len(plan.samples), playbook.version))
    prefix = context.render(select_epoch_bullets(context, playbook, plan))

    async def work(position: int, sample: Sample) -> SampleResult:
        async with window.place(width):
            return await SampleLoop(context, playbook, prefix, sample, batch=plan.index).run(position)

    samples = () if context.settings.adaptation.method == "icl" else plan.samples
    results = await gather_all(work(position, sample) for position, sample in enumerate(samples))
    return AnsweredSamples(playbook, prefix, results, started)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A curated batch, ready to commit. `event` is emitted when it is on disk."""

    record: BatchRecord
    event: BatchCommitted


async def finish_batch(
    context: RunContext, newest: Playbook, plan: BatchPlan, answered: AnsweredSamples
) -> BatchResult:
    """Curate the lessons of the samples and apply them to `newest`, which must be committed.

    Writes nothing: an error or a cancellation abandons the batch.
    """
    method = context.settings.adaptation.method
    results = [_drop_unseen_references(result, answered.playbook, newest) for result in answered.results]
    if method == "icl":
        curated = few_shot(context, newest, plan.samples, batch=plan.index)
    elif method == "rewrite":
        curated = await rewrite(context, newest, results, batch=plan.index)
    else:
        visible = select_epoch_bullets(context, newest, plan)
        prefix = answered.prefix if newest is answered.playbook else context.render(visible)
        curated = await Curator(context, newest, results, batch=plan.index, visible=visible).curate(prefix)
    calls = tuple(call for result in results for call in result.calls) + curated.calls
    working_set = context.working_sets.get(plan.epoch_start)
    end = compact(context, newest, curated.playbook, plan, calls=len(calls), part=working_set)
    record = BatchRecord(
        run=context.run,
        index=plan.index,
        epoch=plan.epoch,
        outcomes=tuple(result.outcome for result in results),
        calls=calls,
        delta=curated.delta,
        playbook=end.playbook,
        skipped=curated.skipped,
        compacted=end.compacted,
        window=end.window,
        started=answered.started,
        finished=utcnow(),
        errors=tuple(context.curation_errors.pop(plan.index, ())),
        retries=plan.retries,
    )
    return BatchResult(record, _committed(plan, results, end.playbook, curated))


def _drop_unseen_references(result: SampleResult, prompted: Playbook, newest: Playbook) -> SampleResult:
    """Remove references to bullets newer than the playbook in the prompt; such ids are hallucinated."""
    unseen = newest.by_id.keys() - prompted.by_id.keys()
    if not unseen:
        return result
    return replace(
        result,
        used=tuple(bullet for bullet in result.used if bullet not in unseen),
        reflections=tuple(
            reflection.model_copy(
                update={"bullet_tags": [tag for tag in reflection.bullet_tags if tag.id not in unseen]}
            )
            for reflection in result.reflections
        ),
    )


def _committed(
    plan: BatchPlan, results: Sequence[SampleResult], playbook: Playbook, curated: CuratedBatch
) -> BatchCommitted:
    outcomes = [result.outcome for result in results]
    reflections = [reflection for result in results for reflection in result.reflections]
    return BatchCommitted(
        index=plan.index,
        epoch=plan.epoch,
        first_correct=sum(outcome.first_correct is True for outcome in outcomes),
        corrected=sum(outcome.corrected for outcome in outcomes),
        failed=sum(outcome.status == "failed" for outcome in outcomes),
        samples=len(outcomes),
        playbook_version=playbook.version,
        bullets=len(playbook),
        operations=carried_out(curated.delta, curated.skipped),
        skipped=Counter(f"{skipped.operation.type}: {skipped.reason}" for skipped in curated.skipped)
        + Counter(call.error for call in curated.calls if call.error is not None),
        texts=_new_texts(curated),
        insight=next((each.key_insight for each in reversed(reflections) if each.key_insight), ""),
    )


def _new_texts(curated: CuratedBatch) -> tuple[str, ...]:
    """The contents that the batch added or reworded."""
    skipped = [each.operation for each in curated.skipped]
    changes = (each for each in curated.delta.operations if isinstance(each, Add | Update | Merge))
    return tuple(each.content for each in changes if each not in skipped)
