"""The micro world as a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ace.config import MicroSettings
from ace.errors import ConfigError
from ace.tasks.micro.micro_world import Changes, Question, feedback, grade, make_world
from ace.tasks.task import Splits
from ace.types import Sample, Score


@dataclass(frozen=True, slots=True)
class MicroTask:
    """Questions about one world's hidden codes; only a playbook with the world's rules can answer them."""

    name: str
    splits: Splits

    @classmethod
    def make(cls, settings: MicroSettings) -> Self:
        """The task of the settings' world. ConfigError if the world is too small for its splits."""
        try:
            world = make_world(
                settings.seed,
                settings.terms,
                settings.modifiers,
                train=settings.train,
                validation=settings.validation,
                test=settings.test,
                changes=Changes(settings.drift, settings.expiring, settings.distractors),
            )
        except ValueError as error:
            raise ConfigError(f"task.micro: {error}", key="task.micro") from None
        splits = Splits(
            train=tuple(map(_sample, world.split("train"))),
            validation=tuple(map(_sample, world.split("validation"))),
            test=tuple(map(_sample, world.split("test"))),
        )
        return cls(f"micro-{settings.seed}", splits)

    def prompt(self, sample: Sample) -> tuple[str, str]:
        return sample.question, ""

    def grade(self, sample: Sample, answer: str) -> Score:
        assert sample.target is not None
        correct = grade(answer, sample.target)
        return Score(float(correct), correct, feedback(answer, sample.target))


def _sample(question: Question) -> Sample:
    return Sample(question.id, question.text, question.target)
