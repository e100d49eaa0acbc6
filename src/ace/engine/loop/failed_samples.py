"""Retries of failed samples at the end of a run.

Failed samples of batches make up further batches behind the newest playbook. Failed samples of an evaluation are
answered with the playbook of that evaluation, and take their places in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.events import EvaluationFinished, EvaluationProgress, EvaluationStarted
from ace.engine.feedback.attempt import PromptedSample, attempt
from ace.engine.loop.evaluation import measure, outcome_of
from ace.engine.loop.schedule import BatchPlan, plan_batches
from ace.engine.loop.shown_bullets import select_bullets
from ace.roles import CallRecord
from ace.store.records import EvaluationAmendment, EvaluationInfo, OutcomeRecord


def plan_retries(context: RunContext) -> tuple[BatchPlan, ...]:
    """Plan batches, after the committed ones, of the training samples that failed, each sample once."""
    store, run = context.store, context.run
    committed = store.batches(run)
    failed: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for batch in committed:
        if batch.failed:
            for outcome in store.outcomes(run, batch=batch.index):
                if outcome.status == "failed" and outcome.retried_in is None:
                    failed[outcome.sample_id].append((batch.index, outcome.position))
    samples = [sample for sample in context.task.splits.train if sample.id in failed]
    settings = context.settings
    size = settings.adaptation.batch_size
    plans = plan_batches(samples, epochs=1, batch_size=size, shuffle=False, seed=settings.seed, bullets=1)
    start = len(committed)
    return tuple(
        replace(
            plan,
            index=start + plan.index,
            epoch=committed[-1].epoch,
            epoch_start=start,
            retries=tuple(place for sample in plan.samples for place in failed[sample.id]),
        )
        for plan in plans
    )


async def retry_evaluations(context: RunContext, best: int) -> None:
    """Answer the failed samples of each evaluation again, except of an `after` of another playbook than the best."""
    for evaluation in context.store.evaluations(context.run):
        if evaluation.failed and (evaluation.label != "after" or evaluation.playbook_version == best):
            await _retry(context, evaluation)


async def _retry(context: RunContext, evaluation: EvaluationInfo) -> None:
    store, run = context.store, context.run
    outcomes = store.outcomes(run, evaluation=evaluation.index)
    by_id = {sample.id: sample for sample in getattr(context.task.splits, evaluation.split)}
    samples = [by_id[outcome.sample_id] for outcome in outcomes]
    playbook = store.playbook(run, evaluation.playbook_version)
    prefix = context.render(select_bullets(context, playbook, samples))
    failed = [position for position, outcome in enumerate(outcomes) if outcome.status == "failed"]
    context.listener(EvaluationStarted(evaluation.label, evaluation.split, len(failed), evaluation.playbook_version))
    done = correct = 0

    async def answer(position: int) -> tuple[OutcomeRecord, tuple[CallRecord, ...]]:
        nonlocal done, correct
        answered = await attempt(PromptedSample(context, prefix, samples[position], evaluation.label))
        outcome = outcome_of(position, samples[position], answered)
        done, correct = done + 1, correct + (outcome.correct is True)
        context.listener(EvaluationProgress(evaluation.label, done, len(failed), correct))
        return outcome, answered.calls

    retried = await gather_all(answer(position) for position in failed)
    amended = {outcome.position: outcome for outcome, _ in retried}
    every = [amended.get(position, outcome) for position, outcome in enumerate(outcomes)]
    metrics = await measure(context, samples, every)
    calls = tuple(call for _, calls in retried for call in calls)
    store.amend_evaluation(run, evaluation.index, EvaluationAmendment(tuple(amended.values()), calls, metrics))
    context.listener(_finished(evaluation, every))


def _finished(evaluation: EvaluationInfo, outcomes: Sequence[OutcomeRecord]) -> EvaluationFinished:
    right = sum(outcome.correct is True for outcome in outcomes)
    return EvaluationFinished(
        label=evaluation.label,
        split=evaluation.split,
        samples=len(outcomes),
        correct=right,
        failed=sum(outcome.status == "failed" for outcome in outcomes),
        accuracy=right / len(outcomes),
        playbook_version=evaluation.playbook_version,
    )
