"""Kinds of data: samples from records, and grades of answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from ace.config import FieldSettings
from ace.tasks.data.record_files import Fields
from ace.types import Observation, Sample, Score


class Kind(ABC):
    """A kind of data, without state of a run.

    A subclass adds the methods of `ace.tasks.task`'s optional protocols that its data supports: `observe`, `same`,
    `metrics`, `answer_schema`.
    """

    fields: ClassVar[FieldSettings] = FieldSettings()
    """Fields of its records, unless the settings name others."""
    instructions: ClassVar[str] = ""
    """Text before each sample's own context, unless the settings have another."""
    threads: ClassVar[bool] = False
    """True where grading and observing take long enough to run in worker threads."""

    @abstractmethod
    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        """The sample of one record. DataError for a record that is none."""

    @abstractmethod
    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        """Grade `answer` by `target`."""

    def unfit(self, target: str) -> str | None:
        """Describe a valid target where no answer could ever be right by `target`; else None."""
        return None


def in_words(problems: Sequence[str]) -> Observation:
    """An observation of what is wrong with the form of an answer; of nothing wrong where there are no problems."""
    return Observation("; ".join(problems), failed=True if problems else None)
