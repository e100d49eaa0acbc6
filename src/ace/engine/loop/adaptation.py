"""Adaptation: the batches of a run in order, offline over epochs or online over one stream.

Committed batches and evaluations are skipped, so that a resumed run does exactly the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ace.engine.context import RunContext
from ace.engine.events import RunStarted
from ace.engine.loop.evaluation import evaluate
from ace.engine.loop.failed_samples import plan_retries
from ace.engine.loop.pipeline import run_epoch
from ace.engine.loop.schedule import BatchPlan, plan_batches
from ace.playbook import Playbook
from ace.types import Sample

VALIDATION = "validation"


def plan(context: RunContext) -> tuple[BatchPlan, ...]:
    """Plan the batches of the run. Online, the stream is read once and in order; without adaptation there are none.

    Examples for the prompt (`icl`) are one batch.
    """
    settings, train = context.settings, context.task.splits.train
    method = settings.adaptation.method
    if settings.mode == "evaluate" or method == "empty":
        return ()
    online = settings.mode == "online"
    return plan_batches(
        train,
        epochs=1 if online or method == "icl" else settings.adaptation.epochs,
        batch_size=max(1, len(train)) if method == "icl" else settings.adaptation.batch_size,
        shuffle=settings.adaptation.shuffle and not online,
        seed=settings.seed,
        bullets=context.store.playbook_versions(context.run)[0].bullets,
    )


async def adapt(context: RunContext, plans: Sequence[BatchPlan]) -> int:
    """Run the batches that are not committed yet, and return the version of the best playbook.

    Online, the first answers of a window are predictions made before the window is learned from.
    """
    last = context.store.last_batch(context.run)
    done = last.index if last else -1
    playbook = context.store.playbook(context.run)
    for _, group in groupby(plans, key=lambda planned: planned.epoch):
        epoch = tuple(group)
        if epoch[-1].index > done:
            playbook = await run_epoch(context, playbook, epoch, done)
        if _validates(context):
            await _validate(context, epoch[-1])
    return best_version(context)


async def retry_batches(context: RunContext) -> int:
    """Run the failed training samples once more, and return the version of the best playbook."""
    plans = plan_retries(context)
    if plans:
        store, run = context.store, context.run
        samples, start = sum(len(plan.samples) for plan in plans), plans[0].index
        context.listener(RunStarted(run, context.settings.mode, samples, start + len(plans), start))
        playbook = await run_epoch(context, store.playbook(run), plans, start - 1)
        validated = {
            evaluation.playbook_version for evaluation in store.evaluations(run) if evaluation.label == VALIDATION
        }
        if _validates(context) and playbook.version not in validated:
            await _validate(context, plans[-1])
    return best_version(context)


def best_version(context: RunContext) -> int:
    """Return the version with the best validation accuracy so far, the later one on a tie; the last without validation.

    Without labels no batch is validated: grades may not choose among playbooks.
    """
    validated = [evaluation for evaluation in context.store.evaluations(context.run) if evaluation.label == VALIDATION]
    if not validated:
        return context.store.playbook(context.run).version
    return max(validated, key=lambda evaluation: (evaluation.accuracy, evaluation.playbook_version)).playbook_version


async def ensure_evaluation(
    context: RunContext,
    playbook: Playbook,
    samples: Sequence[Sample],
    *,
    label: str,
    split: str,
    after_batch: int | None,
) -> float:
    """Return the accuracy of this evaluation, from the store if it is committed."""
    for evaluation in context.store.evaluations(context.run):
        if (evaluation.label, evaluation.playbook_version, evaluation.after_batch) == (
            label,
            playbook.version,
            after_batch,
        ):
            return evaluation.accuracy
    return await evaluate(context, playbook, samples, label=label, split=split, after_batch=after_batch)


def _validates(context: RunContext) -> bool:
    if context.settings.mode == "online" or not context.settings.adaptation.has_labels:
        return False
    return context.settings.adaptation.validate_each_epoch and bool(context.task.splits.validation)


async def _validate(context: RunContext, planned: BatchPlan) -> None:
    await ensure_evaluation(
        context,
        context.store.playbook_after(context.run, planned.index),
        context.task.splits.validation,
        label=VALIDATION,
        split="validation",
        after_batch=planned.index,
    )
