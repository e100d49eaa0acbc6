"""A task of samples in memory and a function that grades answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from ace.config import GraderName, TaskSettings
from ace.errors import ConfigError, DataError
from ace.tasks.data.graders import grader
from ace.tasks.task import Splits
from ace.types import Sample, Score

SampleLike = Sample | tuple[str, str] | Mapping[str, Any]
"""A sample, a pair of question and target, or a mapping with `question` and any of `target`, `context` and `id`."""

Grade = GraderName | Callable[[Sample, str], Score | float | bool]
"""The name of a grader, or a function of the sample and the answer: a score, a grade in [0, 1], or right and wrong."""

_KEYS = ("id", "question", "target", "context")


@dataclass(frozen=True, slots=True)
class SampleTask:
    """Samples in splits, graded by `grader`; `instructions` say to every sample what the models are to do."""

    name: str
    splits: Splits
    grader: Callable[[Sample, str], Score | float | bool]
    instructions: str = field(default="")

    def prompt(self, sample: Sample) -> tuple[str, str]:
        return sample.question, sample.context

    def grade(self, sample: Sample, answer: str) -> Score:
        """The grader's verdict. DataError names the sample where it raises or gives something else."""
        try:
            verdict = self.grader(sample, answer)
        except Exception as error:  # it is the user's code, which may raise anything
            raise DataError(f"the grader failed on sample {sample.id!r}: {error!r}", sample=sample.id) from error
        if isinstance(verdict, Score):
            return verdict
        grade: object = verdict  # whatever the user's code gave
        if not isinstance(grade, bool | int | float) or not 0 <= grade <= 1:
            raise DataError(
                f"the grader gave {grade!r} for sample {sample.id!r}, allowed: a Score, True, False, or 0 to 1",
                sample=sample.id,
            )
        right = float(grade) == 1.0
        wrong = "wrong" if sample.target is None else f"wrong: expected {sample.target}"
        return Score(float(grade), right, "right" if right else wrong)


def make_sample_task(
    *,
    train: Iterable[SampleLike] = (),
    validation: Iterable[SampleLike] = (),
    test: Iterable[SampleLike] = (),
    grade: Grade = "normalized",
    instructions: str = "",
    name: str = "samples",
) -> SampleTask:
    """A task of these samples.

    ConfigError for an unknown grader; DataError for one that is no sample, and for a target that is missing or cannot
    be met.
    """
    splits = Splits(
        tuple(_samples(train, "train")), tuple(_samples(validation, "validation")), tuple(_samples(test, "test"))
    )
    if callable(grade):
        return SampleTask(name, splits, grade, instructions)
    if grade not in get_args(GraderName):
        names = ", ".join(get_args(GraderName))
        raise ConfigError.at("grade", grade, f"a function of sample and answer, or one of {names}")
    by_name = grader(TaskSettings(name="jsonl", path="memory", grader=grade))
    for sample in (*splits.train, *splits.validation, *splits.test):
        if sample.target is None:
            raise DataError(
                f"sample {sample.id!r} has no target, and the grader {grade!r} compares with it",
                hint="give it a target, or a function as `grade`",
                sample=sample.id,
            )
    return SampleTask(name, splits, lambda sample, answer: by_name(answer, sample.target or ""), instructions)


def _samples(items: Iterable[object], split: str) -> Iterable[Sample]:
    for number, item in enumerate(items, 1):
        place = f"{split}[{number - 1}]"
        if isinstance(item, Sample):
            yield item
        elif isinstance(item, Mapping):
            yield _from_mapping(item, place, f"{split}-{number}")
        elif isinstance(item, tuple) and len(item) == 2 and all(isinstance(part, str) for part in item):
            yield Sample(f"{split}-{number}", *item)
        else:
            raise DataError(
                f"{place}: {type(item).__name__}, allowed: a Sample, a mapping, or a pair of question and target"
            )


def _from_mapping(item: Mapping[str, Any], place: str, default_id: str) -> Sample:
    if unknown := sorted(set(item) - set(_KEYS)):
        raise DataError(f"{place}: unknown key {unknown[0]!r}, allowed: {', '.join(_KEYS)}")
    for key, value in item.items():
        if not isinstance(value, str) and not (key == "target" and value is None):
            raise DataError(f"{place}.{key}: {value!r}, allowed: a text")
    if not item.get("question", "").strip():
        raise DataError(f"{place}.question: missing or empty, allowed: a text")
    return Sample(item.get("id", default_id), item["question"], item.get("target"), item.get("context", ""))
