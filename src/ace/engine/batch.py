"""One batch: its samples flow at once from one playbook version, and one transaction commits what they led to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ace.engine.baselines import few_shot, rewrite
from ace.engine.compaction import compact
from ace.engine.context import RunContext
from ace.engine.curation import curate_batch
from ace.engine.events import BatchCommitted, BatchStarted
from ace.engine.flow import flow
from ace.engine.retrieval import shown_in_epoch
from ace.engine.sample import SampleResult, work_sample
from ace.engine.schedule import BatchPlan
from ace.playbook import Delta, Playbook
from ace.store.records import BatchRecord, utcnow


async def run_batch(context: RunContext, playbook: Playbook, plan: BatchPlan) -> Playbook:
    """Work all samples of `plan` off, curate, apply, commit, and return the new playbook.

    Nothing is in the store before the one commit at the end: an error or a cancellation on the way abandons the batch.
    """
    started = utcnow()
    context.listener(BatchStarted(plan.index, plan.epoch, len(plan.samples), playbook.version))
    visible = shown_in_epoch(context, playbook, plan)
    prefix = context.render(visible)
    purpose = f"batch-{plan.index}"
    method = context.settings.adaptation.method
    results: Sequence[SampleResult] = ()
    if method == "icl":
        curated = few_shot(context, playbook, plan.samples, batch=plan.index)
    else:
        results = await flow(
            work_sample(context, playbook, prefix, sample, position, purpose=purpose)
            for position, sample in enumerate(plan.samples)
        )
        if method == "rewrite":
            curated = await rewrite(context, playbook, results, batch=plan.index)
        else:
            curated = await curate_batch(context, playbook, prefix, results, batch=plan.index, visible=visible)
    calls = tuple(call for result in results for call in result.calls) + curated.calls
    working_set = context.working_sets.get(plan.begins)
    end = compact(context, playbook, curated.playbook, plan, calls=len(calls), shown=working_set)
    context.store.commit_batch(
        BatchRecord(
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
            started=started,
            finished=utcnow(),
        )
    )
    context.listener(_committed(plan, results, end.playbook, curated.delta))
    return end.playbook


def _committed(plan: BatchPlan, results: Sequence[SampleResult], playbook: Playbook, delta: Delta) -> BatchCommitted:
    outcomes = [result.outcome for result in results]
    return BatchCommitted(
        index=plan.index,
        epoch=plan.epoch,
        first_correct=sum(outcome.first_correct is True for outcome in outcomes),
        corrected=sum(outcome.corrected for outcome in outcomes),
        failed=sum(outcome.status == "failed" for outcome in outcomes),
        samples=len(outcomes),
        playbook_version=playbook.version,
        bullets=len(playbook),
        operations=Counter(operation.type for operation in delta.operations),
    )
