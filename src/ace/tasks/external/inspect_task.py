"""A task of `inspect_ai` as a task of ours: its samples, the prompts and steps of its solver, its scorer.

The solver is run with our answers in the place of a model's. It is run again from the start for each step, so that
nothing of it stays open between steps. Source: https://inspect.aisi.org.uk, version 0.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ace.config import TaskSettings
from ace.errors import ConfigError, DataError
from ace.tasks.external.conversation import (
    Turn,
    as_question,
    as_score,
    load_external,
    run_coroutine,
    shared_instructions,
    text_of,
)
from ace.tasks.splits import split_samples
from ace.tasks.task import Splits
from ace.types import Observation, Sample, Score

WORLDS = 8
"""Samples that are worked on at once."""
MOST_STEPS = 20
"""Answers to one sample."""
MODEL = "ace/generator"
"""The name of the model that solvers and scorers see."""


def load_inspect(settings: TaskSettings) -> InspectTask:
    """The task that `path` names: one of an installed package, or `file.py@task`; `split` cuts its data set.

    ProviderMissingError, ConfigError, and DataError for samples that need a sandbox.
    """
    source = load_external(settings, "inspect_ai", lambda name: _load(name, settings))
    if not source.scorer:
        raise ConfigError.at("task.path", settings.path, "a task with a scorer")
    items = list(source.dataset)[: settings.limit]
    for item in items:
        if item.sandbox is not None or source.sandbox is not None:
            raise ConfigError.at("task.path", settings.path, "a task without a sandbox")
    first = run_coroutine(_prompts(source, items))
    instructions = shared_instructions(first)
    samples = [
        _sample(item, messages, number, instructions)
        for number, (item, messages) in enumerate(zip(items, first, strict=True), 1)
    ]
    splits = split_samples(samples, settings.split)
    probe = run_coroutine(_solve(source, items[0], ("",))) if items else None
    kind = StepsTask if isinstance(probe, _Pending) else InspectTask
    return kind(source, splits, instructions, settings)


class InspectTask:
    """A task whose solver asks the model once."""

    threads = True

    def __init__(self, source: Any, splits: Splits, instructions: str, settings: TaskSettings) -> None:
        self.name = str(settings.path)
        self.splits = splits
        self.instructions = instructions
        self._source, self._threshold = source, settings.threshold

    def prompt(self, sample: Sample) -> tuple[str, str]:
        return sample.question, sample.context

    def grade(self, sample: Sample, answer: str) -> Score:
        """The verdict of the task's first scorer."""
        return _Solution(self._source, sample, self._threshold).graded((answer,))


class StepsTask(InspectTask):
    """A task whose solver asks the model several times, such as one with a critique of the first answer."""

    worlds = WORLDS
    max_steps = MOST_STEPS

    def open(self, sample: Sample) -> _Solution:
        """A fresh solution of `sample`."""
        return _Solution(self._source, sample, self._threshold)


@dataclass(frozen=True)
class _Pending:
    """The solver waits for an answer to these messages, the conversation so far."""

    messages: Sequence[Turn]


class _Solution:
    """The solver's work on one sample."""

    def __init__(self, source: Any, sample: Sample, threshold: float) -> None:
        self._source, self._sample, self._threshold = source, sample, threshold
        self._answers: tuple[str, ...] = ()
        self._done = False

    def step(self, action: str) -> Observation:
        self._answers = (*self._answers, action)
        result = run_coroutine(_solve(self._source, self._sample.metadata["sample"], self._answers))
        if not isinstance(result, _Pending):
            self._done = True
            return Observation("done")
        position = max(
            (number for number, turn in enumerate(result.messages) if turn == ("assistant", action)), default=-1
        )
        return Observation("\n".join(text for _, text in result.messages[position + 1 :]))

    @property
    def done(self) -> bool:
        return self._done

    def grade(self) -> Score:
        return self.graded(self._answers)

    def graded(self, answers: tuple[str, ...]) -> Score:
        """Score the state that the solver ends in with these answers."""
        score, value = run_coroutine(_score(self._source, self._sample.metadata["sample"], answers))
        detail = str(score.explanation or "").strip()
        explanation = detail if detail and detail not in answers else ""
        return as_score(value, self._threshold, self._sample.target, explanation)

    def close(self) -> None:
        return None


class _Waits(Exception):
    """Carries the state in which the solver asks for one more answer."""

    def __init__(self, state: Any) -> None:
        super().__init__("the solver waits for an answer")
        self.state = state


def _load(name: str, settings: TaskSettings) -> Any:
    from inspect_ai._eval.loader import load_tasks  # the package has no public function for this

    tasks = load_tasks([name], dict(settings.arguments))
    if len(tasks) != 1:
        raise ConfigError.at("task.path", name, f"the name of one task; this names {len(tasks)}")
    return tasks[0]


async def _prompts(source: Any, items: Sequence[Any]) -> list[Sequence[Turn]]:
    """The conversation in which the solver first asks the model, for each sample."""
    prompts: list[Sequence[Turn]] = []
    for item in items:
        result = await _solve(source, item, ())
        if not isinstance(result, _Pending):
            raise DataError(f"sample {item.id!r}: the solver asks no model")
        prompts.append(result.messages)
    return prompts


async def _solve(source: Any, item: Any, answers: tuple[str, ...]) -> Any:
    """The state in which the solver ends with `answers`, or what it asks after them."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelName, ModelOutput
    from inspect_ai.scorer import Target
    from inspect_ai.solver import TaskState

    rest = list(answers)

    async def generate(state: Any, tool_calls: str = "loop", **kwargs: Any) -> Any:
        if not rest:
            raise _Waits(state)
        text = rest.pop(0)
        state.output = ModelOutput.from_content(MODEL, text)
        state.messages.append(ChatMessageAssistant(content=text))
        return state

    copied = item.model_copy(deep=True)
    messages = [ChatMessageUser(content=copied.input)] if isinstance(copied.input, str) else list(copied.input)
    state = TaskState(
        model=ModelName(MODEL),
        sample_id=copied.id or 0,
        epoch=1,
        input=copied.input,
        messages=messages,
        target=Target(copied.target),
        choices=copied.choices,
        metadata=copied.metadata,
    )
    try:
        for solver in filter(None, (*_listed(source.setup), source.solver)):
            state = await solver(state, generate)
    except _Waits as waits:
        conversation = [(str(m.role), text_of(m.content, f"sample {item.id!r}")) for m in waits.state.messages]
        return _Pending(conversation)
    return state


async def _score(source: Any, item: Any, answers: tuple[str, ...]) -> tuple[Any, float]:
    from inspect_ai.scorer import Target, value_to_float

    state = await _solve(source, item, answers)
    if isinstance(state, _Pending):
        raise DataError(f"sample {item.id!r}: the solver asks again after {len(answers)} answers")
    score = await source.scorer[0](state, Target(item.target))
    if score is None or isinstance(score.value, dict | list):
        raise DataError(f"sample {item.id!r}: the scorer gave {score and score.value!r}, allowed: one value")
    return score, float(value_to_float()(score.value))


def _sample(item: Any, messages: Sequence[Turn], number: int, instructions: str) -> Sample:
    target = item.target if isinstance(item.target, str) else ", ".join(item.target)
    identity = str(item.id) if item.id is not None else str(number)
    return Sample(identity, as_question(messages, instructions), target or None, metadata={"sample": item})


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
