"""One attempt at a sample: an answer and its grade, or step by step in a world until that is done."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from ace.engine.context import RunContext
from ace.errors import AceError, PromptTooLongError, RequestRejectedError, TransientError
from ace.roles import CallRecord, GeneratorAnswer
from ace.tasks import Environment, InteractiveTask, abilities_of
from ace.types import Sample, Score

SAMPLE_ERRORS = (PromptTooLongError, RequestRejectedError, TransientError)
"""What can go wrong with one sample while the engine is well: recorded for that sample, and the run goes on."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer and its grade. `score` and `output` are None where there is none, and `error` says why.

    Of a task of several steps the answer is all that was done, and what the world said to it.
    """

    calls: tuple[CallRecord, ...]
    output: GeneratorAnswer | None = None
    score: Score | None = None
    error: str | None = None

    @property
    def answer(self) -> str:
        return self.output.final_answer if self.output else ""


async def attempt(
    context: RunContext,
    prefix: str,
    sample: Sample,
    *,
    purpose: str,
    reflection: str = "",
    round: int = 0,
    grade: float | None = None,
) -> Attempt:
    """Let the generator answer `sample` behind `prefix` and grade the answer. `grade` is what the one before got."""
    if isinstance(context.task, InteractiveTask):
        async with context.blocking_pool.worlds:
            return await _interact(context, context.task, prefix, sample, purpose, reflection, round, grade)
    try:
        result = await context.generate(
            prefix, sample, reflection=reflection, purpose=purpose, round=round, grade=grade
        )
    except SAMPLE_ERRORS as error:
        return Attempt(calls=(), error=_told(error))
    if result.value is None:
        return Attempt(calls=result.calls, error=f"ParseError: {result.error}")
    if abilities_of(context.task).threads:
        score = await context.blocking_pool.run(context.task.grade, sample, result.value.final_answer)
    else:
        score = context.task.grade(sample, result.value.final_answer)
    return Attempt(calls=result.calls, output=result.value, score=score)


async def _interact(
    context: RunContext,
    task: InteractiveTask,
    prefix: str,
    sample: Sample,
    purpose: str,
    reflection: str,
    round: int,
    grade: float | None,
) -> Attempt:
    """Act in the sample's world until it is done or `max_steps` are, then have it graded."""
    calls: list[CallRecord] = []
    steps: list[tuple[str, str]] = []
    output: GeneratorAnswer | None = None
    used: dict[str, None] = {}
    try:
        async with _world(context, task, sample) as world:
            for _ in range(task.max_steps):
                result = await context.generate(
                    prefix,
                    sample,
                    reflection=reflection,
                    purpose=purpose,
                    round=round,
                    so_far=transcript(steps),
                    grade=grade,
                )
                calls.extend(result.calls)
                if result.value is None:
                    return Attempt(tuple(calls), error=f"ParseError: {result.error}")
                output = result.value
                used.update(dict.fromkeys(output.bullet_ids))
                seen = await context.blocking_pool.run(world.step, output.final_answer)
                steps.append((output.final_answer, seen.text))
                if world.done:
                    break
            score = await context.blocking_pool.run(world.grade)
    except SAMPLE_ERRORS as error:
        return Attempt(tuple(calls), error=_told(error))
    assert output is not None  # max_steps is at least 1
    whole = output.model_copy(update={"final_answer": transcript(steps), "bullet_ids": list(used)})
    return Attempt(tuple(calls), output=whole, score=score)


@contextlib.asynccontextmanager
async def _world(context: RunContext, task: InteractiveTask, sample: Sample) -> AsyncIterator[Environment]:
    world = await context.blocking_pool.run(task.open, sample)
    try:
        yield world
    finally:
        await context.blocking_pool.run(world.close)


def transcript(steps: Sequence[tuple[str, str]]) -> str:
    """The steps so far as text; each new one extends it, so that the prefix cache keeps serving what was."""
    return "\n".join(f"Step {n}:\n{action}\nThe world:\n{seen}" for n, (action, seen) in enumerate(steps, 1))


def _told(error: AceError) -> str:
    return f"{type(error).__name__}: {error}"
