"""The protocol of tasks: samples in three splits, prompts, and grades of answers.

`Task` is all that a task needs. The other protocols are for those that can do more; a task has whichever it wants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ace.types import Observation, Sample, Score

Graded = Sequence[tuple[Sample, str | None]]
"""The samples of an evaluation with their answers; None for a sample that failed, which is measured as a wrong one."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Samples to learn from, to choose the best playbook by, and to report on. Any of them may be empty."""

    train: tuple[Sample, ...] = ()
    validation: tuple[Sample, ...] = ()
    test: tuple[Sample, ...] = ()


class Task(Protocol):
    """Anything with splits, a prompt and a grade. A file's factory gives one to `task: {name: python}`."""

    @property
    def name(self) -> str:
        """The name in reports."""

    @property
    def splits(self) -> Splits:
        """The samples; the same ones at every reading."""

    def prompt(self, sample: Sample) -> tuple[str, str]:
        """The question and the context that the models see of `sample`, which comes without its target."""

    def grade(self, sample: Sample, answer: str) -> Score:
        """Grade `answer`. The feedback is shown to the reflector, but not where `adaptation.labels` is `none`."""


@runtime_checkable
class InstructedTask(Protocol):
    """A task that says the same to every sample; `prompt` leaves it out."""

    @property
    def instructions(self) -> str:
        """Instructions for the models, and the form of their answers."""


@runtime_checkable
class ObservingTask(Protocol):
    """A task that can tell something about an answer without its target: what label-free adaptation learns from."""

    def observe(self, sample: Sample, answer: str) -> Observation:
        """Try `answer` in the world. `sample` comes without its target; the text is shown to the reflector."""


@runtime_checkable
class ComparingTask(Protocol):
    """A task that knows when two answers say the same; without it, their words must be the same."""

    def same(self, sample: Sample, one: str, other: str) -> bool:
        """Compare two answers to `sample`, which comes without its target."""


@runtime_checkable
class MeasuringTask(Protocol):
    """A task with numbers of its own over a whole evaluation, such as the F1 of entities."""

    def metrics(self, graded: Graded) -> Mapping[str, float]:
        """Numbers by name, over all samples of an evaluation and their answers (None: the sample failed)."""


@runtime_checkable
class SchemaTask(Protocol):
    """A task whose final answers are JSON of a certain form."""

    def answer_schema(self, sample: Sample) -> Mapping[str, Any] | None:
        """The JSON schema that guides the engine's final answer; None for a text. `sample` has no target."""


@runtime_checkable
class ThreadedTask(Protocol):
    """A task whose grading and observing may take long."""

    @property
    def threads(self) -> bool:
        """True to grade and observe in worker threads, so that other samples go on."""


class Environment(Protocol):
    """One sample's world, in which an answer is found step by step. Calls may block: each is made in a thread."""

    def step(self, action: str) -> Observation:
        """Do `action`; the text is shown to the generator. What the action broke is an observation, not an error."""

    @property
    def done(self) -> bool:
        """True once no more steps are to be made."""

    def grade(self) -> Score:
        """Grade what was done, after the last step."""

    def close(self) -> None:
        """Give up what the world holds; called once, whatever happened."""


@runtime_checkable
class InteractiveTask(Protocol):
    """A task of several steps: each answer of the generator is an action in an environment.

    The same actions must lead to the same observations: a run that is resumed does them again.
    """

    @property
    def worlds(self) -> int:
        """Number of environments that may be open at once."""

    @property
    def max_steps(self) -> int:
        """The most steps for one sample; it is graded as it stands then."""

    def open(self, sample: Sample) -> Environment:
        """A fresh world for `sample`, which comes with its target: the world may need it to grade."""


@dataclass(frozen=True, slots=True)
class TaskAbilities:
    """The optional methods of a task: for each protocol the object that implements it, or None."""

    observing: ObservingTask | None = None
    comparing: ComparingTask | None = None
    measuring: MeasuringTask | None = None
    schema: SchemaTask | None = None
    threads: bool = False


def abilities_of(task: object) -> TaskAbilities:
    """Return the task's own `abilities`, or those that its methods show."""
    abilities = getattr(task, "abilities", None)
    if isinstance(abilities, TaskAbilities):
        return abilities
    return TaskAbilities(
        observing=task if isinstance(task, ObservingTask) else None,
        comparing=task if isinstance(task, ComparingTask) else None,
        measuring=task if isinstance(task, MeasuringTask) else None,
        schema=task if isinstance(task, SchemaTask) else None,
        threads=isinstance(task, ThreadedTask) and bool(task.threads),
    )
