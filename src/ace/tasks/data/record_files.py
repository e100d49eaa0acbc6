"""Records from files: JSONL, CSV, Parquet. Read as they are asked for; every error names the file and the line."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO

from ace._util.extras import missing_package
from ace._util.install_commands import install_command
from ace.errors import DataError, ProviderMissingError

FileFormat = Literal["jsonl", "csv", "parquet"]
Record = tuple[int, Mapping[str, Any]]
"""The line on which a record begins (of Parquet the row, from 1), and its values by field."""

SUFFIXES: Mapping[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}


def read_records(path: Path, format: FileFormat, *, needed: Sequence[str] = ()) -> Iterator[Record]:
    """The records of a file (JSONL and CSV: UTF-8), one at a time. `needed` are the columns that CSV must have.

    DataError for a missing or undecodable file, and at the first line that is not what its format says.
    """
    if format == "parquet":
        return _parquet(path)
    return _csv(path, needed) if format == "csv" else _jsonl(path)


class Fields:
    """One record's values by field, with errors that say where it stands."""

    def __init__(self, record: Mapping[str, Any], source: str, line: int) -> None:
        self._record, self._source, self._line = record, source, line

    def text(self, field: str) -> str | None:
        """The field's text; None where there is none, or only white space."""
        value = self._record.get(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self.error(field, f"found {json_kind(value)}, allowed: text or a number")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error(field, f"found {value}, allowed: text or a finite number")
        text = str(value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise self.error(field, "found half of a surrogate pair, allowed: valid Unicode text")
        return text if text.strip() else None

    def required(self, field: str, why: str) -> str:
        """The field's text; DataError where there is none."""
        text = self.text(field)
        if text is None:
            raise self.error(field, f"missing: {why}")
        return text

    def value(self, field: str) -> Any:
        """The field's value, whatever it is; None where there is none."""
        return self._record.get(field)

    def error(self, field: str, problem: str, *, hint: str = "") -> DataError:
        message = f"{self._source}:{self._line}: field '{field}': {problem}"
        if field not in self._record:
            message += f"; this record has {', '.join(map(str, self._record)) or 'no fields'}"
        return DataError(message, hint=hint, path=self._source, line=self._line, field=field)


def json_kind(value: object) -> str:
    """What JSON calls a value, in words."""
    if isinstance(value, bool):
        return "a boolean"
    return {"dict": "an object", "list": "a list"}.get(type(value).__name__, type(value).__name__)


def _lines(path: Path, newline: str) -> Iterator[str]:
    """The lines of a text file, with their ends; split where `open` splits them with `newline`."""
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            yield from _decoded(path, file)
    except FileNotFoundError:
        raise DataError(f"{path}: no such data file", path=str(path)) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}", path=str(path)) from error


def _decoded(path: Path, file: TextIO) -> Iterator[str]:
    try:
        yield from file
    except UnicodeDecodeError as error:
        line, byte = _first_undecodable(path)
        raise DataError(f"{path}:{line}: not UTF-8: byte {byte:#04x}", path=str(path), line=line) from error


def _first_undecodable(path: Path) -> tuple[int, int]:
    """The line and the byte; the decoder itself knows only where it stood in its buffer."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return number, line[error.start]
    raise AssertionError(f"{path} changed while it was read")


def _jsonl(path: Path) -> Iterator[Record]:
    for number, line in enumerate(_lines(path, "\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # also a number of thousands of digits
            raise DataError(f"{path}:{number}: not JSON: {error}", path=str(path), line=number) from None
        if not isinstance(record, dict):
            raise DataError(
                f"{path}:{number}: a sample is a JSON object, found {json_kind(record)}",
                path=str(path),
                line=number,
            )
        yield number, record


def _csv(path: Path, needed: Sequence[str]) -> Iterator[Record]:
    """Records by the columns of the first row, with the line on which each begins; an empty cell is a missing field."""
    columns: list[str] = []
    for line, row in _rows(path):
        if not columns:
            columns = row
            _check_header(path, line, columns, needed)
            continue
        if len(row) > len(columns):
            problem = f"{len(row)} cells in {len(columns)} columns"
            raise DataError(f"{path}:{line}: {problem}", path=str(path), line=line)
        yield line, {column: cell or None for column, cell in zip(columns, row, strict=False)}


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, with the line on which each begins."""
    reader = csv.reader(_lines(path, ""), strict=True)
    line = 1
    try:
        for row in reader:
            if len(row) > 1 or (row and row[0].strip()):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{line}: not CSV: {error}", path=str(path), line=line) from None


def _check_header(path: Path, line: int, columns: list[str], needed: Sequence[str]) -> None:
    for column in columns:
        if columns.count(column) > 1:
            raise DataError(f"{path}:{line}: column '{column}' stands twice", path=str(path), line=line, field=column)
    for column in needed:
        if column not in columns:
            problem = f"no column '{column}'; this file has {', '.join(columns)}"
            raise DataError(f"{path}:{line}: {problem}", path=str(path), line=line, field=column)


def _parquet(path: Path) -> Iterator[Record]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise needs_data_extra("Parquet files", "pyarrow") from error
    try:
        file = pyarrow.parquet.ParquetFile(path)
        row = 0
        for batch in file.iter_batches(batch_size=1024):
            for record in batch.to_pylist():
                row += 1
                yield row, record
    except FileNotFoundError:
        raise DataError(f"{path}: no such data file", path=str(path)) from None
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not Parquet: {error}", path=str(path)) from error


def needs_data_extra(what: str, package: str) -> ProviderMissingError:
    """The error where a package of the extra `data` is missing."""
    return missing_package(f"{what} need", package, provider="data", command=install_command("data"))
