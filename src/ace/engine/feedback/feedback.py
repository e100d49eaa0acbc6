"""What the loop hears of an answer: its grade; without labels, what the task observes and what other answers say."""

from __future__ import annotations

from ace.engine.context import RunContext
from ace.engine.feedback.signals import NO_FEEDBACK, Signal, has_labels, without_target
from ace.engine.feedback.voting import Vote, together, vote
from ace.engine.loop.attempt import Attempt
from ace.roles import CallRecord
from ace.tasks import abilities_of
from ace.types import Observation, Sample


async def collect_feedback(
    context: RunContext, prefix: str, sample: Sample, made: Attempt, *, purpose: str, round: int
) -> tuple[Signal | None, tuple[CallRecord, ...]]:
    """The signal, None for an attempt that failed, and the calls that it took.

    Without labels: an answer that the task finds wrong by its form is wrong, and nothing more is asked. Else it is
    right or wrong where all that can be heard says so.
    """
    if made.score is None:
        return None, ()
    if has_labels(context.settings):
        return Signal(made.score.feedback, made.score.correct), ()
    observed = await _observed(context, sample, made.answer)
    if observed.failed is True:
        return Signal(observed.text.strip() or NO_FEEDBACK, False), ()
    votes, calls = await vote(context, prefix, sample, made.answer, purpose=purpose, round=round)
    if observed.failed is False:
        votes = (Vote("", True), *votes)
    texts = [text for text in (observed.text.strip(), *(cast.text for cast in votes)) if text]
    return Signal("\n".join(texts) or NO_FEEDBACK, together(votes)), calls


async def _observed(context: RunContext, sample: Sample, answer: str) -> Observation:
    abilities = abilities_of(context.task)
    task = abilities.observing
    if not context.settings.adaptation.signals.form or task is None:
        return Observation("")
    if abilities.threads:
        return await context.blocking_pool.run(task.observe, without_target(sample), answer)
    return task.observe(without_target(sample), answer)
