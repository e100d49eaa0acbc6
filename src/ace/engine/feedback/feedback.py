"""Feedback on one answer: its grade, or label-free signals."""

from __future__ import annotations

from ace.engine.context import RunContext
from ace.engine.feedback.signals import NO_FEEDBACK, Signal, has_labels, without_target
from ace.engine.feedback.task_calls import naming_sample
from ace.engine.feedback.voting import Vote, collect_votes, consensus
from ace.engine.loop.attempt import Attempt
from ace.roles import CallRecord
from ace.tasks import abilities_of
from ace.types import Observation, Sample


async def collect_feedback(
    context: RunContext, prefix: str, sample: Sample, answered: Attempt, *, purpose: str, round: int
) -> tuple[Signal | None, tuple[CallRecord, ...]]:
    """Collect the signal of an attempt, None for one that failed, and the calls made for it.

    Without labels, an answer whose form the task rejects is wrong, and no votes are collected. Otherwise the answer is
    right or wrong if all signals agree.
    """
    if answered.score is None:
        return None, ()
    if has_labels(context.settings):
        return Signal(answered.score.feedback, answered.score.correct), ()
    observed = await _observed(context, sample, answered.answer)
    if observed.failed is True:
        return Signal(observed.text.strip() or NO_FEEDBACK, False), ()
    votes, calls = await collect_votes(context, prefix, sample, answered.answer, purpose=purpose, round=round)
    if observed.failed is False:
        votes = (Vote("", True), *votes)
    texts = [text for text in (observed.text.strip(), *(vote.text for vote in votes)) if text]
    return Signal("\n".join(texts) or NO_FEEDBACK, consensus(votes)), calls


async def _observed(context: RunContext, sample: Sample, answer: str) -> Observation:
    abilities = abilities_of(context.task)
    task = abilities.observing
    if not context.settings.adaptation.signals.form or task is None:
        return Observation("")
    with naming_sample("observe", sample.id):
        if abilities.threads:
            return await context.blocking_pool.run(task.observe, without_target(sample), answer)
        return task.observe(without_target(sample), answer)
