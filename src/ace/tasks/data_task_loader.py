"""Data tasks from settings: the records of files or of a hub's data set, made samples by the kind of data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from ace.config import FieldSettings, TaskSettings
from ace.errors import ConfigError, DataError
from ace.tasks.builtin import KINDS
from ace.tasks.builtin.entities import sentences
from ace.tasks.data.data_kind import Kind
from ace.tasks.data.data_task import DataTask
from ace.tasks.data.record_files import SUFFIXES, FileFormat, Record, needs_data_extra, read_records
from ace.tasks.data.sample_loader import load_samples, samples_from
from ace.tasks.splits import split_samples
from ace.tasks.task import Splits
from ace.types import Sample

SPLITS = ("train", "validation", "test")
SAMPLE = "sample"
"""The `path` of the small sample that comes with each built-in task."""

_PLAIN: Mapping[str, FileFormat] = {"jsonl": "jsonl", "csv": "csv", "parquet": "parquet"}
_HUB_SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}


def load_data_task(settings: TaskSettings) -> DataTask:
    """The task of settings that name a data set. ConfigError, DataError, ProviderMissingError."""
    paths = {name: value for name in SPLITS if (value := getattr(settings, name)) is not None}
    if settings.path is not None and paths:
        raise ConfigError.at(
            "task.path", settings.path, f"not supported beside task.{next(iter(paths))}: one file, or one a split"
        )
    if settings.path is None and (settings.name == "hf" or not paths):
        raise _no_path(settings)
    kind = KINDS[settings.name](settings)
    splits = _splits(settings, kind, paths)
    _check_targets(splits, settings, kind)
    name = settings.name if settings.path == SAMPLE else Path(settings.path or next(iter(paths.values()))).stem
    return DataTask(name, _limited(splits, settings.limit), kind, _instructions(settings, kind))


def task_of_records(settings: TaskSettings, records: Iterable[Record], *, source: str) -> DataTask:
    """A task whose test split is made of `records`. ConfigError for one that is no data task, DataError.

    `source` is the file that they come from, which error messages name, and the beginning of ids.
    """
    if settings.name not in KINDS:
        raise ConfigError.at("task.name", settings.name, f"a kind of data: {', '.join(KINDS)}")
    kind = KINDS[settings.name](settings)
    splits = Splits(test=_make_samples(records, settings, kind, source, Path(source).stem, None))
    _check_targets(splits, settings, kind)
    return DataTask(Path(source).stem, splits, kind, _instructions(settings, kind))


def _instructions(settings: TaskSettings, kind: Kind) -> str:
    """The settings' text or the kind's own, and the choices where there are any."""
    text = settings.instructions or kind.instructions
    return f"{text} The answer is one of: {', '.join(settings.choices)}.".strip() if settings.choices else text


def _no_path(settings: TaskSettings) -> ConfigError:
    if settings.name == "hf":
        return ConfigError.at("task.path", None, "the data set's name on the hub, or a local folder")
    own = "" if settings.name in _PLAIN else f", a data set's name, or '{SAMPLE}' for the small sample that ace brings"
    return ConfigError.at("task.path", None, f"a file{own}; or files as task.train, task.validation and task.test")


def _splits(settings: TaskSettings, kind: Kind, paths: Mapping[str, str]) -> Splits:
    """Splits from one file, from a file each, or from a data set of the hub.

    The ids of files of the same name begin with the split's name.
    """
    if settings.path == SAMPLE and settings.name not in _PLAIN and settings.name != "hf":
        path = str(files("ace.tasks.builtin") / "samples" / f"{settings.name}.jsonl")
        return split_samples(_samples(settings, kind, path, ""), settings.split)
    if settings.path is not None:
        if settings.name == "hf" or _format(settings, settings.path) is None:
            return _hub(settings, kind)
        return split_samples(_samples(settings, kind, settings.path, ""), settings.split)
    stems = {split: Path(path).stem for split, path in paths.items()}
    if len(set(stems.values())) < len(stems):
        stems = {split: f"{split}-{stem}" for split, stem in stems.items()}
    return Splits(
        **{split: _samples(settings, kind, path, stems[split], limit=settings.limit) for split, path in paths.items()}
    )


def _format(settings: TaskSettings, path: str) -> FileFormat | None:
    """The format of a file: what the task is named after, or what its ending says; None for a data set's name."""
    return _PLAIN.get(settings.name) or SUFFIXES.get(Path(path).suffix)


def _samples(
    settings: TaskSettings, kind: Kind, path: str, stem: str, *, limit: int | None = None
) -> tuple[Sample, ...]:
    format = _format(settings, path)
    if format is None:
        endings = ", ".join(SUFFIXES)
        raise DataError(f"{path}: no file that task '{settings.name}' reads; it knows {endings}", path=path)
    fields = _fields(settings, kind)
    if settings.name in _PLAIN:
        return load_samples(path, fields, format=format, stem=stem, limit=limit)
    records = read_records(Path(path), format)
    if settings.name == "finer_ord" and format != "jsonl":
        records = iter(sentences(records))
    return _nonempty(_make_samples(records, settings, kind, path, stem or Path(path).stem, limit), path)


def _make_samples(
    records: Iterable[Record], settings: TaskSettings, kind: Kind, source: str, stem: str, limit: int | None
) -> tuple[Sample, ...]:
    fields = _fields(settings, kind)
    return samples_from(records, fields, source=source, stem=stem, limit=limit, make=partial(kind.sample, fields))


def _nonempty(samples: tuple[Sample, ...], source: str) -> tuple[Sample, ...]:
    if not samples:
        raise DataError(f"{source}: no samples in this file", path=source)
    return samples


def _fields(settings: TaskSettings, kind: Kind) -> FieldSettings:
    """The settings' names, and the kind's own for those that the settings leave alone."""
    names = settings.fields.model_dump(exclude_unset=True)
    return kind.fields.model_copy(update=names)


def _check_targets(splits: Splits, settings: TaskSettings, kind: Kind) -> None:
    for split in SPLITS:
        for sample in getattr(splits, split):
            allowed = kind.unfit(sample.target)
            if allowed is not None:
                raise DataError(
                    f"sample {sample.id!r} in {split}: target {sample.target!r}, allowed by grader "
                    f"'{settings.grader}': {allowed}",
                    sample=sample.id,
                )


def _limited(splits: Splits, limit: int | None) -> Splits:
    return Splits(splits.train[:limit], splits.validation[:limit], splits.test[:limit])


def _hub(settings: TaskSettings, kind: Kind) -> Splits:
    """A data set of the hub, a folder of its data files, or one that `save_to_disk` wrote."""
    assert settings.path is not None
    try:
        import datasets
    except ImportError as error:
        raise needs_data_extra("data sets of the hub", "datasets") from error
    path = settings.path
    try:
        saved = Path(path, "dataset_dict.json").is_file() or Path(path, "state.json").is_file()
        loaded: Any = datasets.load_from_disk(path) if saved else datasets.load_dataset(path, settings.subset)
    except Exception as error:  # the library raises whatever its file readers and the hub raise
        raise DataError(f"data set {path!r} cannot be loaded: {error}", path=path) from error
    tables: Mapping[str, Any] = loaded if isinstance(loaded, Mapping) else {"train": loaded}
    splits: dict[str, tuple[Sample, ...]] = {}
    for split, names in _HUB_SPLITS.items():
        name = next((name for name in names if name in tables), None)
        if name is not None:
            rows = enumerate(_named(tables[name]), 1)
            splits[split] = _make_samples(rows, settings, kind, f"{path}[{name}]", split, None)
    if not splits:
        problem = f"no split train, validation or test; it has {', '.join(map(str, tables)) or 'none'}"
        raise DataError(f"data set {path!r}: {problem}", path=path)
    if len(splits) == 1:
        return split_samples(next(iter(splits.values())), settings.split)
    return Splits(**splits)


def _named(table: Any) -> Iterable[Mapping[str, Any]]:
    """The rows, with numbered labels in lists by their names, where the data set knows them."""
    lists = {
        column: feature.feature.names
        for column, feature in (table.features or {}).items()
        if hasattr(getattr(feature, "feature", None), "names")
    }
    if not lists:
        return table  # type: ignore[no-any-return]
    return (
        {**row, **{column: [names[number] for number in row[column]] for column, names in lists.items()}}
        for row in table
    )
