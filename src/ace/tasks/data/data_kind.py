"""What a kind of data task is: how its records become samples, and how answers are graded, observed and measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ace.config import FieldSettings
from ace.tasks.data.record_files import Fields
from ace.types import Observation, Sample, Score

Graded = Sequence[tuple[Sample, str | None]]
"""The samples of an evaluation with their answers; None for a sample that failed, which is measured as a wrong one."""


class Kind(ABC):
    """A kind of data. Subclasses say what differs; none holds any state of a run."""

    fields: ClassVar[FieldSettings] = FieldSettings()
    """Which fields its records have, where the settings say nothing else."""
    instructions: ClassVar[str] = ""
    """What stands before each sample's own context, where the settings say nothing else."""
    threads: ClassVar[bool] = False
    """Whether grading and observing take long enough to do them beside the loop."""

    @abstractmethod
    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        """The sample of one record. DataError for a record that is none."""

    @abstractmethod
    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        """Grade `answer` by `target`."""

    def observe(self, sample: Sample, answer: str) -> Observation:
        """What can be said of `answer` without the target."""
        return Observation("")

    def metrics(self, graded: Graded) -> Mapping[str, float]:
        """Numbers over a whole evaluation, beside the share of right answers."""
        return {}

    def answer_schema(self, sample: Sample) -> Mapping[str, Any] | None:
        """The JSON schema of the final answer, where it is more than a text."""
        return None

    def same(self, sample: Sample, one: str, other: str) -> bool:
        """Whether two answers say the same, the target aside."""
        return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()

    def unfit(self, target: str) -> str | None:
        """What a target must be, where no answer could ever be right by `target`; else None."""
        return None


def in_words(problems: Sequence[str]) -> Observation:
    """An observation of what is wrong with the form of an answer; of nothing wrong where there are no problems."""
    return Observation("; ".join(problems), failed=True if problems else None)
