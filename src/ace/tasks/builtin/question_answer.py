"""Questions and targets from a user's file, with a grader of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ace.config import FieldSettings, TaskSettings
from ace.tasks.data.data_kind import Kind, in_words
from ace.tasks.data.graders import grader, unfit_target
from ace.tasks.data.record_files import Fields
from ace.tasks.data.sample_loader import plain_sample
from ace.types import Observation, Sample, Score


class Plain(Kind):
    """An answer is right where its grade reaches the settings' threshold."""

    def __init__(self, settings: TaskSettings) -> None:
        self._grader = grader(settings)
        self._name = settings.grader
        self._threshold = settings.threshold

    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        return plain_sample(fields, record, default_id)

    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        value = self._grader(answer, target)
        correct = value >= self._threshold
        return Score(value, correct, "correct" if correct else f"wrong; expected: {target}")

    def unfit(self, target: str) -> str | None:
        return unfit_target(self._name, target)


class Choices(Plain):
    """As `Plain`, where every answer is one of `task.choices`."""

    def __init__(self, settings: TaskSettings) -> None:
        super().__init__(settings)
        self._choices = settings.choices

    def observe(self, sample: Sample, answer: str) -> Observation:
        problem = f"{answer[:200]!r} is none of {', '.join(self._choices)}"
        return in_words([] if self._chosen(answer) else [problem])

    def answer_schema(self, sample: Sample) -> Mapping[str, Any]:
        return {"type": "string", "enum": list(self._choices)}

    def unfit(self, target: str) -> str | None:
        problem = super().unfit(target)
        if problem is None and not any(self._grader(choice, target) >= self._threshold for choice in self._choices):
            return f"one of task.choices: {', '.join(self._choices)}"
        return problem

    def _chosen(self, answer: str) -> bool:
        return any(self._grader(answer, choice) >= self._threshold for choice in self._choices)
