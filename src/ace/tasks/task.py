"""What a task is: samples in three splits, what a model is asked, and how an answer is graded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ace.types import Observation, Sample, Score


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
        """How reports call it."""

    @property
    def splits(self) -> Splits:
        """The samples; the same ones at every reading."""

    def prompt(self, sample: Sample) -> tuple[str, str]:
        """The question and the context that the models see of `sample`, which comes without its target."""

    def grade(self, sample: Sample, answer: str) -> Score:
        """Grade `answer`. The feedback is shown to the reflector, but not where `adaptation.labels` is `none`."""


@runtime_checkable
class ObservingTask(Protocol):
    """A task that can tell something about an answer without its target: what label-free adaptation learns from."""

    def observe(self, sample: Sample, answer: str) -> Observation:
        """Try `answer` in the world. `sample` comes without its target; the text is shown to the reflector."""
