"""Tasks over data sets: questions with targets, and a grader by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ace.config import GraderName, TaskSettings
from ace.errors import ConfigError, DataError, ProviderMissingError
from ace.tasks.graders import Grader, grader, unfit_target
from ace.tasks.loaders import load_samples, samples_from
from ace.tasks.splits import split_samples
from ace.tasks.task import Splits
from ace.types import Sample, Score

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class DataTask:
    """Samples from files or a data set. An answer is right when its grade is 1."""

    name: str
    splits: Splits
    grader: Grader
    instructions: str = ""

    def prompt(self, sample: Sample) -> tuple[str, str]:
        context = "\n\n".join(filter(None, (self.instructions, sample.context)))
        return sample.question, context

    def grade(self, sample: Sample, answer: str) -> Score:
        """Raises DataError for a sample without a target: there is nothing to grade by."""
        if sample.target is None:
            raise DataError(f"sample {sample.id!r} has no target to grade by", sample=sample.id)
        value = self.grader(answer, sample.target)
        correct = value >= 1.0
        return Score(value, correct, "correct" if correct else f"wrong; expected: {sample.target}")


def load_data_task(settings: TaskSettings) -> DataTask:
    """The task of `jsonl`, `csv` and `hf` settings. ConfigError, DataError, ProviderMissingError."""
    given = {name: value for name in SPLITS if (value := getattr(settings, name)) is not None}
    if settings.path is not None and given:
        raise ConfigError.at(
            "task.path", settings.path, f"nothing, beside task.{next(iter(given))}: one file, or one a split"
        )
    if settings.path is None and (settings.name == "hf" or not given):
        raise _no_path(settings)
    splits = _hf(settings) if settings.name == "hf" else _files(settings, given)
    _check_targets(splits, settings.grader)
    name = Path(settings.path or next(iter(given.values()))).stem
    return DataTask(name, _limited(splits, settings.limit), grader(settings), settings.instructions)


def _no_path(settings: TaskSettings) -> ConfigError:
    if settings.name == "hf":
        return ConfigError.at("task.path", None, "the data set's name on the hub, or a local folder")
    return ConfigError.at("task.path", None, "a file; or files as task.train, task.validation and task.test")


def _files(settings: TaskSettings, given: Mapping[str, str]) -> Splits:
    """Splits from one file, or from a file each; the ids of files of the same name begin with the split's name."""
    load = partial(load_samples, fields=settings.fields, format="csv" if settings.name == "csv" else "jsonl")
    if settings.path is not None:
        return split_samples(load(settings.path), settings.split)
    stems = {split: Path(path).stem for split, path in given.items()}
    if len(set(stems.values())) < len(stems):
        stems = {split: f"{split}-{stem}" for split, stem in stems.items()}
    return Splits(**{split: load(path, stem=stems[split]) for split, path in given.items()})


def _check_targets(splits: Splits, name: GraderName) -> None:
    for split in SPLITS:
        for sample in getattr(splits, split):
            allowed = unfit_target(name, sample.target)
            if allowed is not None:
                raise DataError(
                    f"sample {sample.id!r} in {split}: target {sample.target!r}, allowed by grader '{name}': {allowed}",
                    sample=sample.id,
                )


def _limited(splits: Splits, limit: int | None) -> Splits:
    return Splits(splits.train[:limit], splits.validation[:limit], splits.test[:limit])


def _hf(settings: TaskSettings) -> Splits:
    assert settings.path is not None
    try:
        import datasets
    except ImportError as error:
        command = "pip install datasets"
        raise ProviderMissingError(
            "task 'hf' needs the package 'datasets', which is not installed",
            hint=command,
            provider="hf",
            package="datasets",
            command=command,
        ) from error
    try:
        loaded: Mapping[str, Any] = datasets.load_dataset(settings.path)
    except Exception as error:  # the library raises whatever its file readers and the hub raise
        raise DataError(f"data set {settings.path!r} cannot be loaded: {error}", path=settings.path) from error
    found = {
        name: samples_from(enumerate(loaded[name], 1), settings.fields, source=f"{settings.path}[{name}]", stem=name)
        for name in SPLITS
        if name in loaded
    }
    if not found:
        problem = f"no split train, validation or test; it has {', '.join(map(str, loaded)) or 'none'}"
        raise DataError(f"data set {settings.path!r}: {problem}", path=settings.path)
    if len(found) == 1:
        return split_samples(next(iter(found.values())), settings.split)
    return Splits(**found)
