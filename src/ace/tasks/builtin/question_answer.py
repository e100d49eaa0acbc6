"""Questions and targets from a user's file, with a grader of the settings."""

from __future__ import annotations

from ace.config import FieldSettings, TaskSettings
from ace.tasks.data.data_kind import Kind
from ace.tasks.data.graders import grader, unfit_target
from ace.tasks.data.record_files import Fields
from ace.tasks.data.sample_loader import plain_sample
from ace.types import Sample, Score


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
