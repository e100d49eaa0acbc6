"""Rows of CSV files as Excel, LibreOffice, Google Sheets and pandas write them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from ace.errors import DataError
from ace.tasks.data.text_lines import read_lines

csv.field_size_limit(2**31 - 1)  # the module's own limit, 131,072 characters, is less than one long document

_DELIMITERS: Final = (",", ";", "\t", "|")
_EXAMINED_LINES: Final = 200
_SEPARATOR_LINE = re.compile(r"""["']?sep=([^\w\s"']|\t)["']?[;,]*\s*""", re.IGNORECASE)
_AS_TEXT = re.compile(r'="(.*)"', re.DOTALL)
"""Excel's notation for a text such as `00123` that must not become a number."""
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff]")


def read_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows by the columns of the first one, with the line on which each begins; an empty cell is a missing field.

    Blank rows are skipped, and cells behind the last column where they are empty. A column without a name is called by
    its place (`column 3`). DataError names the line.
    """
    columns: list[str] = []
    for line, cells in _rows(path, needed):
        if not columns:
            columns = _header(path, line, cells, needed)
            continue
        if any(cell.strip() for cell in cells[len(columns) :]):
            problem = f"{len(cells)} cells in {len(columns)} columns"
            raise DataError(f"{path}:{line}: {problem}", path=str(path), line=line)
        yield line, _record(path, line, columns, cells)


def _record(path: Path, line: int, columns: list[str], cells: list[str]) -> Mapping[str, Any]:
    record: dict[str, str | None] = {}
    for column, cell in zip(columns, cells, strict=False):
        value = _AS_TEXT.sub(r"\1", cell) or None
        if column in record and record[column] != value:
            problem = f"column '{column}' stands twice, with {record[column]!r} and {value!r}"
            raise DataError(f"{path}:{line}: {problem}", path=str(path), line=line, field=column)
        record[column] = value
    return record


def _header(path: Path, line: int, cells: list[str], needed: Sequence[str]) -> list[str]:
    names = [_INVISIBLE.sub("", cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    columns = [name or f"column {number}" for number, name in enumerate(names, 1)]
    for column, count in Counter(columns).items():
        if count > 1 and (column in needed or not needed):
            raise DataError(f"{path}:{line}: column '{column}' stands twice", path=str(path), line=line, field=column)
    for column in needed:
        if column not in columns:
            problem = f"no column '{column}'; this file has {', '.join(columns)}"
            raise DataError(f"{path}:{line}: {problem}", path=str(path), line=line, field=column)
    return columns


def _rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, with the line on which each begins."""
    lines = read_lines(path, newline="", windows=True)
    head = list(islice(lines, _EXAMINED_LINES))
    skipped = 0
    delimiter = None
    if head and (match := _SEPARATOR_LINE.fullmatch(head[0])) is not None:
        delimiter, skipped = match[1], 1
    reader = csv.reader(
        chain(head[skipped:], lines),
        delimiter=delimiter or _delimiter(head, needed),
        strict=True,
        skipinitialspace=True,
    )
    line = 1 + skipped
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield line, row
            line = reader.line_num + 1 + skipped
    except csv.Error as error:
        raise DataError(f"{path}:{line}: not CSV: {error}", path=str(path), line=line) from None


def _delimiter(head: Sequence[str], needed: Sequence[str]) -> str:
    """The mark between cells: the one whose header has the needed columns, else the one that makes most columns."""
    headers = {delimiter: _first_row(head, delimiter) for delimiter in _DELIMITERS}
    for delimiter, names in headers.items():
        if needed and set(needed) <= set(names):
            return delimiter
    return max(_DELIMITERS, key=lambda delimiter: len(headers[delimiter]))


def _first_row(head: Sequence[str], delimiter: str) -> list[str]:
    try:
        rows = csv.reader(head, delimiter=delimiter, strict=True, skipinitialspace=True)
        row = next((row for row in rows if any(cell.strip() for cell in row)), [])
    except csv.Error:
        return []
    return [_INVISIBLE.sub("", cell).strip() for cell in row]
