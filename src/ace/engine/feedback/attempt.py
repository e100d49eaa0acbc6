"""One attempt at a sample: an answer or the steps in an environment, and the grade."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ace.engine.calls.call_gateway import SAMPLE_ERRORS
from ace.engine.context import RunContext
from ace.roles import CallRecord, GeneratorAnswer, RoleResult
from ace.tasks import Environment, InteractiveTask, abilities_of
from ace.tasks.task_calls import naming_sample
from ace.types import Sample, Score

Generate = Callable[..., Awaitable[RoleResult[GeneratorAnswer]]]


@dataclass(frozen=True, slots=True)
class PromptedSample:
    """A sample behind the rendered playbook `prefix`. The seeds of its calls depend on their `purpose`."""

    context: RunContext
    prefix: str
    sample: Sample
    purpose: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer and its grade. `score` and `output` are None where there is none, and `error` is the reason.

    In a task of several steps the answer is the transcript of all of them.
    """

    calls: tuple[CallRecord, ...]
    output: GeneratorAnswer | None = None
    score: Score | None = None
    error: str | None = None

    @property
    def answer(self) -> str:
        return self.output.final_answer if self.output else ""

    @property
    def cited(self) -> tuple[str, ...]:
        """Ids of the bullets that the answer cites, each once."""
        return tuple(dict.fromkeys(self.output.bullet_ids)) if self.output else ()


async def attempt(
    prompted: PromptedSample, *, reflection: str = "", round: int = 0, grade: float | None = None
) -> Attempt:
    """Let the generator answer the sample, and grade the answer. `grade` is that of the previous answer."""
    context, sample = prompted.context, prompted.sample
    generate = partial(
        context.roles.generate,
        prompted.prefix,
        sample,
        purpose=prompted.purpose,
        reflection=reflection,
        round=round,
        grade=grade,
    )
    if isinstance(context.task, InteractiveTask):
        async with context.blocking_pool.environments:
            return await _interact(context, context.task, sample, generate)
    try:
        result = await generate()
    except SAMPLE_ERRORS as error:
        return Attempt((), error=f"{type(error).__name__}: {error}")
    if result.value is None:
        return Attempt(result.calls, error=f"ParseError: {result.error}")
    with naming_sample("grade", sample.id):
        if abilities_of(context.task).threads:
            score = await context.blocking_pool.run(context.task.grade, sample, result.value.final_answer)
        else:
            score = context.task.grade(sample, result.value.final_answer)
    return Attempt(result.calls, output=result.value, score=score)


async def _interact(context: RunContext, task: InteractiveTask, sample: Sample, generate: Generate) -> Attempt:
    """Act in the sample's environment until it is done or after `max_steps`, then have it graded."""
    calls: list[CallRecord] = []
    steps: list[tuple[str, str]] = []
    output: GeneratorAnswer | None = None
    cited: dict[str, None] = {}
    try:
        async with _environment(context, task, sample) as environment:
            for _ in range(task.max_steps):
                result = await generate(transcript=transcript(steps))
                calls.extend(result.calls)
                if result.value is None:
                    return Attempt(tuple(calls), error=f"ParseError: {result.error}")
                output = result.value
                cited.update(dict.fromkeys(output.bullet_ids))
                with naming_sample("step", sample.id):
                    observation = await context.blocking_pool.run(environment.step, output.final_answer)
                steps.append((output.final_answer, observation.text))
                if environment.done:
                    break
            with naming_sample("grade", sample.id):
                score = await context.blocking_pool.run(environment.grade)
    except SAMPLE_ERRORS as error:
        return Attempt(tuple(calls), error=f"{type(error).__name__}: {error}")
    assert output is not None  # max_steps is at least 1
    whole = output.model_copy(update={"final_answer": transcript(steps), "bullet_ids": list(cited)})
    return Attempt(tuple(calls), output=whole, score=score)


@contextlib.asynccontextmanager
async def _environment(context: RunContext, task: InteractiveTask, sample: Sample) -> AsyncIterator[Environment]:
    environment = await context.blocking_pool.run(task.open, sample)
    try:
        yield environment
    finally:
        await context.blocking_pool.run(environment.close)


def transcript(steps: Sequence[tuple[str, str]]) -> str:
    """Render the steps so far. Each step extends the text, so that the prefix cache serves the steps before it."""
    return "\n".join(
        f"Step {number}:\n{action}\nThe world:\n{observation}" for number, (action, observation) in enumerate(steps, 1)
    )
