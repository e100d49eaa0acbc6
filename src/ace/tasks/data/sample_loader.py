"""Samples from records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path

from ace.config import FieldSettings
from ace.errors import DataError
from ace.tasks.data.record_files import Fields, FileFormat, Record, read_records
from ace.types import Sample

MakeSample = Callable[[Fields, str], Sample]
"""A sample of one record; the text is its id where the record has none."""


def load_samples(
    path: str | Path,
    fields: FieldSettings,
    *,
    format: FileFormat = "jsonl",
    stem: str = "",
    limit: int | None = None,
    make: MakeSample | None = None,
) -> tuple[Sample, ...]:
    """The samples in a file; with `limit` the first ones, without reading on.

    `stem` (default: the file's) begins the ids of records that have none; `make` (default: question, target and context
    by `fields`) turns records into samples. DataError for what `read_records` refuses, an empty file, a record without
    a question or a target, with a value that is not text or a number, or with an id used twice.
    """
    path = Path(path)
    needed = [fields.question, fields.target] if make is None else []
    records = read_records(path, format, needed=needed)
    samples = samples_from(records, fields, source=str(path), stem=stem or path.stem, limit=limit, make=make)
    if not samples:
        raise DataError(f"{path}: no samples in this file", path=str(path))
    return samples


def samples_from(
    records: Iterable[Record],
    fields: FieldSettings,
    *,
    source: str,
    stem: str,
    limit: int | None = None,
    make: MakeSample | None = None,
) -> tuple[Sample, ...]:
    """Samples of `(line, record)` pairs; ids default to `<stem>-<line>`."""
    make = make or partial(plain_sample, fields)
    samples: list[Sample] = []
    lines: dict[str, int] = {}
    for line, record in islice(records, limit):
        sample = make(Fields(record, source, line), f"{stem}-{line}")
        if sample.id in lines:
            raise DataError(
                f"{source}:{line}: field '{fields.id}': {sample.id!r} was used on line {lines[sample.id]} already",
                path=source,
                line=line,
                field=fields.id,
            )
        lines[sample.id] = line
        samples.append(sample)
    return tuple(samples)


def plain_sample(fields: FieldSettings, record: Fields, default_id: str) -> Sample:
    """Question, target and context as `fields` names them."""
    question = record.required(fields.question, "every sample needs a question")
    target = record.required(fields.target, "every sample needs a target to be graded by")
    context = record.text(fields.context) if fields.context != fields.question else None
    return Sample((record.text(fields.id) or default_id).strip(), question, target, context or "")
