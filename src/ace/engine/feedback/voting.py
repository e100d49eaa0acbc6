"""Votes of other answers to the same question: self-consistency, and agreement between models.

Answers are compared with each other, never with a target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ace.config import ConsistencySettings
from ace.engine.calls.call_gateway import SAMPLE_ERRORS
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.feedback.attempt import PromptedSample
from ace.roles import CallRecord, GeneratorAnswer, RoleResult
from ace.tasks import InteractiveTask, abilities_of
from ace.types import RoleName, Sample


@dataclass(frozen=True, slots=True)
class Vote:
    """The verdict of other answers on one: `text` for the reflector, and `right`, None where they are undecided."""

    text: str
    right: bool | None


async def collect_votes(
    prompted: PromptedSample, answer: str, *, round: int
) -> tuple[tuple[Vote, ...], tuple[CallRecord, ...]]:
    """Collect the votes of `adaptation.signals`, and the calls made for them. Tasks of several steps have none."""
    context, sample = prompted.context, prompted.sample
    signals = context.settings.adaptation.signals
    if isinstance(context.task, InteractiveTask):
        return (), ()
    votes: list[Vote] = []
    calls: list[CallRecord] = []
    if signals.consistency is not None:
        drawn = await gather_all(
            _draw_answer(prompted, f"draw-{number}", round, signals.consistency.temperature)
            for number in range(signals.consistency.samples)
        )
        calls += [call for result in drawn if result is not None for call in result.calls]
        votes.append(_consistency(context, sample, answer, _answers(drawn), signals.consistency))
    if signals.agreement is not None:
        result = await _draw_answer(prompted, "tier", round, None, signals.agreement.role)
        calls += [] if result is None else result.calls
        votes += [_agreement(context, sample, answer, other) for other in _answers([result])]
    return tuple(votes), tuple(calls)


def consensus(votes: Sequence[Vote]) -> bool | None:
    """Return the verdict of all votes, None where they differ."""
    verdicts = {vote.right for vote in votes}
    return verdicts.pop() if len(verdicts) == 1 else None


async def _draw_answer(
    prompted: PromptedSample, purpose: str, round: int, temperature: float | None, role: RoleName = "generator"
) -> RoleResult[GeneratorAnswer] | None:
    """Draw one more answer. None where its call fails: that is no vote."""
    try:
        return await prompted.context.roles.generate(
            prompted.prefix,
            prompted.sample,
            purpose=f"{prompted.purpose}-{purpose}",
            round=round,
            temperature=temperature,
            role=role,
        )
    except SAMPLE_ERRORS:
        return None


def _answers(drawn: Sequence[RoleResult[GeneratorAnswer] | None]) -> list[str]:
    return [result.value.final_answer for result in drawn if result is not None and result.value is not None]


def _consistency(
    context: RunContext, sample: Sample, answer: str, others: Sequence[str], settings: ConsistencySettings
) -> Vote:
    if not others:
        return Vote("No further answer could be drawn.", None)
    differing = [other for other in others if not _is_same(context, sample, answer, other)]
    share = 1 - len(differing) / len(others)
    right = True if share >= settings.accept else False if share <= settings.reject else None
    text = f"Of {len(others)} further answers that were drawn, {len(others) - len(differing)} say the same."
    if differing:
        text += f" Others say: {' | '.join(dict.fromkeys(other[:200] for other in differing))}"
    return Vote(text, right)


def _agreement(context: RunContext, sample: Sample, answer: str, other: str) -> Vote:
    if _is_same(context, sample, answer, other):
        return Vote("Another model gives the same answer.", True)
    return Vote(f"Another model answers: {other[:500]}", False)


def _is_same(context: RunContext, sample: Sample, one: str, other: str) -> bool:
    if comparing := abilities_of(context.task).comparing:
        return comparing.same(sample.without_target(), one, other)
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
