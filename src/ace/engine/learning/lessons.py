"""Lessons of a batch for its curators: one insight a sample, or one for several samples together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ace.engine.calls.call_gateway import SAMPLE_ERRORS
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.learning.sample_result import SampleResult
from ace.roles import CallRecord, JointReflection, Reflection, RoleResult, write_insights


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
    context: RunContext, results: Sequence[SampleResult], *, batch: int
) -> tuple[list[Lesson], tuple[CallRecord, ...]]:
    """Collect the insights of a batch in sample order, and the calls made for them.

    With `reflect_together` the samples of each target that was missed get one joint insight in the place of their own.
    They keep their own where the calls fail, or where the joint one names nothing that distinguishes the target.
    """
    most = context.settings.adaptation.reflect_together
    if most == 1 or not context.settings.adaptation.has_labels:
        return [_own_lesson(result) for result in results if _insight(result)], ()
    missed = _missed_targets(results)
    parts = [(target, part) for target, group in missed.items() for part in _divide(group, most)]
    answers = await gather_all(_reflect(context, part, batch, n) for n, (_, part) in enumerate(parts))
    reflections: dict[str, list[JointReflection]] = {target: [] for target in missed}
    for (target, _), answer in zip(parts, answers, strict=True):
        if answer is not None and answer.value is not None:
            reflections[target].append(answer.value)
    written = write_insights(context.pack, reflections, _questions_by_target(results))
    joint = {
        target: Lesson(Reflection(key_insight=text), tuple(missed[target])) for target, text in written.items() if text
    }
    lessons: list[Lesson] = []
    for result in results:
        lesson = joint.get(result.sample.target or "")
        if lesson is None and _insight(result):
            lessons.append(_own_lesson(result))
        elif lesson is not None and result is lesson.results[0]:
            lessons.append(lesson)
    return lessons, tuple(call for answer in answers if answer is not None for call in answer.calls)


def _own_lesson(result: SampleResult) -> Lesson:
    return Lesson(result.reflections[-1], (result,))


def _insight(result: SampleResult) -> str:
    return result.reflections[-1].key_insight.strip() if result.reflections else ""


def _missed_targets(results: Sequence[SampleResult]) -> dict[str, list[SampleResult]]:
    """Group the samples by target, and keep the targets that a first answer missed.

    A target with a single sample is dropped where that sample has an insight of its own.
    """
    groups: defaultdict[str, list[SampleResult]] = defaultdict(list)
    for result in results:
        if result.sample.target is not None:
            groups[result.sample.target].append(result)
    return {
        target: group
        for target, group in groups.items()
        if any(result.outcome.first_correct is False for result in group) and (len(group) > 1 or not _insight(group[0]))
    }


def _questions_by_target(results: Sequence[SampleResult]) -> dict[str, list[str]]:
    questions: defaultdict[str, list[str]] = defaultdict(list)
    for result in results:
        if result.sample.target is not None:
            questions[result.sample.target].append(result.sample.question)
    return dict(questions)


def _divide(group: Sequence[SampleResult], most: int) -> Iterable[Sequence[SampleResult]]:
    """Divide `group` into parts of even size, none larger than `most`."""
    parts = -(-len(group) // most)
    return (group[number::parts] for number in range(parts))


async def _reflect(
    context: RunContext, group: Sequence[SampleResult], batch: int, number: int
) -> RoleResult[JointReflection] | None:
    samples = [result.sample for result in group]
    try:
        return await context.roles.reflect_together(samples, purpose=f"batch-{batch}", group=number)
    except SAMPLE_ERRORS:
        return None
