"""Samples from files. Every error names the file, the line and the field."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ace.config import FieldSettings
from ace.errors import DataError
from ace.types import Sample

Record = tuple[int, Mapping[str, Any]]


def load_samples(path: str | Path, fields: FieldSettings, *, labels: bool) -> tuple[Sample, ...]:
    """The samples in a .jsonl or .csv file. Without `labels` no record may have a target.

    DataError for a missing, empty or undecodable file, a line that is not what its format says, a record without a
    question, with a missing or forbidden label, with a value that is not text or a number, or with an id used twice.
    """
    path = Path(path)
    text = _read(path)
    records = _csv(path, text, fields) if path.suffix.lower() == ".csv" else _jsonl(path, text)
    samples = samples_from(records, fields, source=str(path), stem=path.stem, labels=labels)
    if not samples:
        raise DataError(f"{path}: no samples in this file", path=str(path))
    return samples


def samples_from(
    records: Iterator[Record], fields: FieldSettings, *, source: str, stem: str, labels: bool
) -> tuple[Sample, ...]:
    """Samples of `(line, record)` pairs; ids default to `<stem>-<line>`."""
    samples: list[Sample] = []
    lines: dict[str, int] = {}
    for line, record in records:
        reader = _Fields(record, source, line)
        identity = reader.text(fields.id) or f"{stem}-{line}"
        if identity in lines:
            raise DataError(
                f"{source}:{line}: id {identity!r} was used on line {lines[identity]} already",
                path=source,
                line=line,
                field=fields.id,
            )
        lines[identity] = line
        question = reader.text(fields.question)
        if not question or not question.strip():
            raise reader.error(fields.question, "missing: every sample needs a question")
        target = reader.text(fields.target)
        if labels and target is None:
            raise reader.error(fields.target, "missing: labels are 'given', so that every sample needs a target")
        if not labels and target is not None:
            raise reader.error(fields.target, "a label where none is allowed: labels are 'none'")
        samples.append(Sample(identity, question, target, reader.text(fields.context) or ""))
    return tuple(samples)


class _Fields:
    """One record's values, by field."""

    def __init__(self, record: Mapping[str, Any], source: str, line: int) -> None:
        self._record, self._source, self._line = record, source, line

    def text(self, field: str) -> str | None:
        value = self._record.get(field)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.error(field, f"found {type(value).__name__}, allowed: text or a number")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error(field, f"found {value}, allowed: text or a finite number")
        return str(value)

    def error(self, field: str, problem: str) -> DataError:
        message = f"{self._source}:{self._line}: field '{field}': {problem}"
        if field not in self._record:
            message += f"; this record has {', '.join(map(str, self._record)) or 'no fields'}"
        return DataError(message, path=self._source, line=self._line, field=field)


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such data file", path=str(path)) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}", path=str(path)) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{path}:{line}: not UTF-8: byte {data[error.start]:#04x}", path=str(path), line=line) from None


def _jsonl(path: Path, text: str) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(f"{path}:{number}: not JSON: {error}", path=str(path), line=number) from None
        if not isinstance(record, dict):
            raise DataError(
                f"{path}:{number}: a sample is a JSON object, found {type(record).__name__}",
                path=str(path),
                line=number,
            )
        yield number, record


def _csv(path: Path, text: str, fields: FieldSettings) -> Iterator[Record]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        columns = reader.fieldnames or []
        if columns and fields.question not in columns:
            raise DataError(
                f"{path}:1: no column '{fields.question}'; this file has {', '.join(columns)}",
                path=str(path),
                line=1,
                field=fields.question,
            )
        for record in reader:
            yield reader.line_num, {key: value or None for key, value in record.items() if key is not None}
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV: {error}", path=str(path), line=reader.line_num) from None
