"""Lessons of a batch for its curators: one insight a sample, or one for several samples together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ace.engine.calls.call_gateway import SAMPLE_ERRORS
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.learning.sample_result import SampleResult
from ace.roles import AnsweredSample, CallRecord, Reflection, RoleResult, join_cases


@dataclass(frozen=True, slots=True)
class Lesson:
    """An insight and the samples that it came from."""

    reflection: Reflection
    results: tuple[SampleResult, ...]

    @property
    def used(self) -> tuple[str, ...]:
        """The bullets that the samples' first answers cite."""
        return tuple(bullet for result in self.results for bullet in result.used)


async def collect_lessons(
    context: RunContext, prefix: str, results: Sequence[SampleResult], *, batch: int
) -> tuple[list[Lesson], tuple[CallRecord, ...]]:
    """Collect the insights of a batch in sample order, and the calls made for them.

    With `reflect_together` or `join_cases` the samples that were answered wrongly and share a target get one insight
    together, which takes the place of theirs. Where the calls fail, theirs stay.
    """
    adaptation = context.settings.adaptation
    if (adaptation.reflect_together == 1 and not adaptation.join_cases) or not context.settings.adaptation.has_labels:
        return [_own(result) for result in results if _insight(result)], ()
    groups = list(_group(results, len(results) if adaptation.join_cases else adaptation.reflect_together))
    reflect = _name_cases if adaptation.join_cases else _reflect
    reflected = await gather_all(reflect(context, prefix, group, batch, n) for n, group in enumerate(groups))
    lessons: list[Lesson] = []
    for group, (reflection, _) in zip(groups, reflected, strict=True):
        if reflection is not None and reflection.key_insight.strip():
            lessons.append(Lesson(reflection, group))
        else:
            lessons.extend(_own(result) for result in group if _insight(result))
    return lessons, tuple(call for _, calls in reflected for call in calls)


def _own(result: SampleResult) -> Lesson:
    return Lesson(result.reflections[-1], (result,))


def _insight(result: SampleResult) -> str:
    return result.reflections[-1].key_insight.strip() if result.reflections else ""


def _group(results: Sequence[SampleResult], most: int) -> Iterable[tuple[SampleResult, ...]]:
    """The wrong ones by target, in parts of even size; each of the others alone."""
    groups: dict[str, list[SampleResult]] = {}
    for result in results:
        wrong = result.outcome.first_correct is False and result.sample.target is not None
        groups.setdefault(f"target {result.sample.target}" if wrong else f"sample {result.sample.id}", []).append(
            result
        )
    for members in groups.values():
        parts = -(-len(members) // most)
        for number in range(parts):
            yield tuple(members[number::parts])


async def _reflect(
    context: RunContext, prefix: str, group: Sequence[SampleResult], batch: int, number: int
) -> tuple[Reflection | None, tuple[CallRecord, ...]]:
    """One call on the whole group; none for a sample that was answered right, or that is alone and has an insight."""
    first = group[0]
    if first.outcome.first_correct is not False or (len(group) == 1 and _insight(first)):
        return None, ()
    samples = [AnsweredSample(result.sample, result.first_answer) for result in group]
    try:
        result = await context.roles.reflect_together(prefix, samples, purpose=f"batch-{batch}", group=number)
    except SAMPLE_ERRORS:
        return None, ()
    return result.value, result.calls


async def _name_cases(
    context: RunContext, prefix: str, group: Sequence[SampleResult], batch: int, number: int
) -> tuple[Reflection | None, tuple[CallRecord, ...]]:
    """A short call for each sample, and one insight for the cases that they name."""
    if group[0].outcome.first_correct is not False:
        return None, ()
    named = await gather_all(
        _reflect_alone(context, prefix, result, f"batch-{batch}-{number}", n) for n, result in enumerate(group)
    )
    calls = tuple(call for result in named if result is not None for call in result.calls)
    insights = [result.value.key_insight for result in named if result is not None and result.value is not None]
    joined = join_cases(context.pack, insights, group[0].sample.target or "")
    return (Reflection(key_insight=joined) if joined else None), calls


async def _reflect_alone(
    context: RunContext, prefix: str, result: SampleResult, purpose: str, number: int
) -> RoleResult[Reflection] | None:
    samples = [AnsweredSample(result.sample, result.first_answer)]
    try:
        return await context.roles.reflect_together(prefix, samples, purpose=purpose, group=number)
    except SAMPLE_ERRORS:
        return None
