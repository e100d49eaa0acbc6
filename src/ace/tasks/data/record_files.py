"""Records from JSONL, CSV and Parquet files, read lazily."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from ace._util.extras import missing_package
from ace._util.install_commands import install_command
from ace.errors import DataError, ProviderMissingError
from ace.tasks.data.csv_rows import read_rows
from ace.tasks.data.text_lines import read_lines

FileFormat = Literal["jsonl", "csv", "parquet"]
Record = tuple[int, Mapping[str, Any]]
"""The line on which a record begins (of Parquet the row, from 1), and its values by field."""

SUFFIXES: Mapping[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}


def read_records(path: Path, format: FileFormat, *, needed: Sequence[str] = ()) -> Iterator[Record]:
    """The records of a file, one at a time. `needed` are the columns that CSV must have.

    JSONL may also be one JSON list of objects; a record's line is its place in it then. CSV may have commas,
    semicolons, tabs or bars. DataError for a missing or undecodable file, and at the first line that is not what its
    format says.
    """
    if format == "parquet":
        return _parquet(path)
    return read_rows(path, needed) if format == "csv" else _jsonl(path)


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
        if isinstance(value, float) and math.isnan(value):
            return None  # how pandas writes what is missing
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
            value = self._record.get(field)
            missing = f"found {value}, allowed: text or a finite number" if isinstance(value, float) else "missing"
            raise self.error(field, f"{missing}: {why}")
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
    """JSON's name for the type of a value."""
    if isinstance(value, bool):
        return "a boolean"
    return {"dict": "an object", "list": "a list"}.get(type(value).__name__, type(value).__name__)


def _jsonl(path: Path) -> Iterator[Record]:
    # Universal line ends: a line may end with CR alone, and none inside a JSON text is raw.
    lines = enumerate(read_lines(path, newline=None), 1)
    for number, line in lines:
        if not line.strip():
            continue
        if number == 1 and line.lstrip().startswith("[") and (listed := _listed(line, lines)) is not None:
            yield from enumerate(listed, 1)
            return
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


def _listed(first: str, lines: Iterator[tuple[int, str]]) -> list[dict[str, Any]] | None:
    """The objects of a file that is one JSON list of them; None where it is none."""
    try:
        items = json.loads("".join(chain([first], (line for _, line in lines))))
    except (ValueError, RecursionError):
        return None
    return items if items and all(isinstance(item, dict) for item in items) else None


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
