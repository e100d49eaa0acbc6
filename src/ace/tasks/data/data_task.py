"""A task over a data set."""

from __future__ import annotations

from dataclasses import dataclass, field

from ace.errors import DataError
from ace.tasks.data.data_kind import Kind
from ace.tasks.task import Splits, TaskAbilities, abilities_of
from ace.types import Sample, Score


@dataclass(frozen=True, slots=True)
class DataTask:
    """Samples from files or a data set, graded by their kind; the optional methods are the kind's."""

    name: str
    splits: Splits
    kind: Kind
    instructions: str = ""
    abilities: TaskAbilities = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Once a task: every call of a role asks for them, and checks of protocols are slow.
        object.__setattr__(self, "abilities", abilities_of(self.kind))

    def prompt(self, sample: Sample) -> tuple[str, str]:
        return sample.question, sample.context

    def grade(self, sample: Sample, answer: str) -> Score:
        """Raises DataError for a sample without a target: there is nothing to grade by."""
        if sample.target is None:
            raise DataError(f"sample {sample.id!r} has no target to grade by", sample=sample.id)
        return self.kind.grade(sample, sample.target, answer)
