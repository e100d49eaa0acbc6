"""Samples from files. Every error names the file, the line and the field."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from ace.config import FieldSettings
from ace.errors import DataError
from ace.types import Sample

FileFormat = Literal["jsonl", "csv"]
Record = tuple[int, Mapping[str, Any]]


def load_samples(
    path: str | Path, fields: FieldSettings, *, format: FileFormat = "jsonl", stem: str = ""
) -> tuple[Sample, ...]:
    """The samples in a JSONL or CSV file (UTF-8).

    `stem` (default: the file's) begins the ids of records that have none. DataError for a missing, empty or
    undecodable file, a line that is not what its format says, a record without a question or a target, with a value
    that is not text or a number, or with an id used twice.
    """
    path = Path(path)
    text = _read(path)
    records = _csv(path, text, fields) if format == "csv" else _jsonl(path, text)
    samples = samples_from(records, fields, source=str(path), stem=stem or path.stem)
    if not samples:
        raise DataError(f"{path}: no samples in this file", path=str(path))
    return samples


def samples_from(records: Iterable[Record], fields: FieldSettings, *, source: str, stem: str) -> tuple[Sample, ...]:
    """Samples of `(line, record)` pairs; ids default to `<stem>-<line>`."""
    samples: list[Sample] = []
    lines: dict[str, int] = {}
    for line, record in records:
        sample = _sample(_Fields(record, source, line), fields, f"{stem}-{line}")
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


def _sample(reader: _Fields, fields: FieldSettings, default_id: str) -> Sample:
    question = reader.text(fields.question)
    if question is None:
        raise reader.error(fields.question, "missing: every sample needs a question")
    target = reader.text(fields.target)
    if target is None:
        raise reader.error(fields.target, "missing: every sample needs a target to be graded by")
    context = reader.text(fields.context) if fields.context != fields.question else None
    return Sample((reader.text(fields.id) or default_id).strip(), question, target, context or "")


class _Fields:
    """One record's values, by field."""

    def __init__(self, record: Mapping[str, Any], source: str, line: int) -> None:
        self._record, self._source, self._line = record, source, line

    def text(self, field: str) -> str | None:
        """The field's text; None where there is none, or only white space."""
        value = self._record.get(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self.error(field, f"found {_kind(value)}, allowed: text or a number")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error(field, f"found {value}, allowed: text or a finite number")
        text = str(value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise self.error(field, "found half of a surrogate pair, allowed: valid Unicode text")
        return text if text.strip() else None

    def error(self, field: str, problem: str, *, hint: str = "") -> DataError:
        message = f"{self._source}:{self._line}: field '{field}': {problem}"
        if field not in self._record:
            message += f"; this record has {', '.join(map(str, self._record)) or 'no fields'}"
        return DataError(message, hint=hint, path=self._source, line=self._line, field=field)


def _kind(value: object) -> str:
    """What JSON calls it."""
    if isinstance(value, bool):
        return "a boolean"
    return {"dict": "an object", "list": "a list"}.get(type(value).__name__, type(value).__name__)


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
        except (ValueError, RecursionError) as error:  # also a number of thousands of digits
            raise DataError(f"{path}:{number}: not JSON: {error}", path=str(path), line=number) from None
        if not isinstance(record, dict):
            raise DataError(
                f"{path}:{number}: a sample is a JSON object, found {_kind(record)}",
                path=str(path),
                line=number,
            )
        yield number, record


def _csv(path: Path, text: str, fields: FieldSettings) -> Iterator[Record]:
    """Records by the columns of the first row, with the line on which each begins; an empty cell is a missing field."""
    columns: list[str] = []
    for line, row in _rows(path, text):
        if not columns:
            columns = row
            _check_header(path, line, columns, [fields.question, fields.target])
            continue
        if len(row) > len(columns):
            problem = f"{len(row)} cells in {len(columns)} columns"
            raise DataError(f"{path}:{line}: {problem}", path=str(path), line=line)
        yield line, {column: cell or None for column, cell in zip(columns, row, strict=False)}


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, with the line on which each begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            if len(row) > 1 or (row and row[0].strip()):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{line}: not CSV: {error}", path=str(path), line=line) from None


def _check_header(path: Path, line: int, columns: list[str], needed: list[str]) -> None:
    for column in columns:
        if columns.count(column) > 1:
            raise DataError(f"{path}:{line}: column '{column}' stands twice", path=str(path), line=line, field=column)
    for column in needed:
        if column not in columns:
            problem = f"no column '{column}'; this file has {', '.join(columns)}"
            raise DataError(f"{path}:{line}: {problem}", path=str(path), line=line, field=column)
