"""Feedback on one answer: its grade, or label-free signals.

Without labels, targets decide nothing in the loop and appear in no prompt: no feedback, no retries by grade, no choice
among playbooks. Answers are still graded, for the report.
"""

from __future__ import annotations

from dataclasses import dataclass

from ace.engine.feedback.attempt import Attempt, PromptedSample
from ace.engine.feedback.voting import Vote, collect_votes, consensus
from ace.roles import CallRecord
from ace.tasks import abilities_of
from ace.tasks.task_calls import naming_sample
from ace.types import Observation

NO_FEEDBACK = "There is none. Judge the answer by the question, the material given and the playbook."


@dataclass(frozen=True, slots=True)
class Signal:
    """`feedback` is for the reflector; `right` decides on retries, and is None where correctness is unknown."""

    feedback: str
    right: bool | None


async def collect_feedback(
    prompted: PromptedSample, answered: Attempt, *, round: int
) -> tuple[Signal | None, tuple[CallRecord, ...]]:
    """Collect the signal of an attempt, None for one that failed, and the calls made for it.

    Without labels, an answer whose form the task rejects is wrong, and no votes are collected. Otherwise the answer is
    right or wrong if all signals agree.
    """
    if answered.score is None:
        return None, ()
    if prompted.context.settings.adaptation.has_labels:
        return Signal(answered.score.feedback, answered.score.correct), ()
    observed = await _observed(prompted, answered.answer)
    if observed.failed is True:
        return Signal(observed.text.strip() or NO_FEEDBACK, False), ()
    votes, calls = await collect_votes(prompted, answered.answer, round=round)
    if observed.failed is False:
        votes = (Vote("", True), *votes)
    texts = [text for text in (observed.text.strip(), *(vote.text for vote in votes)) if text]
    return Signal("\n".join(texts) or NO_FEEDBACK, consensus(votes)), calls


async def _observed(prompted: PromptedSample, answer: str) -> Observation:
    context, sample = prompted.context, prompted.sample
    abilities = abilities_of(context.task)
    task = abilities.observing
    if not context.settings.adaptation.signals.form or task is None:
        return Observation("")
    with naming_sample("observe", sample.id):
        if abilities.threads:
            return await context.blocking_pool.run(task.observe, sample.without_target(), answer)
        return task.observe(sample.without_target(), answer)
