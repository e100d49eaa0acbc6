"""What a task is: samples in three splits, what a model is asked, and how an answer is graded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ace.types import Sample, Score


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
        """The question and the context that the models see of `sample`."""

    def grade(self, sample: Sample, answer: str) -> Score:
        """Grade `answer`. The feedback is shown to the reflector."""
