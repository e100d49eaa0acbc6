"""Column types with the same values in SQLite and PostgreSQL: any text, JSON, aware times."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

# NUL (refused by PostgreSQL, the end of the text for some of SQLite's functions) and lone surrogates (not UTF-8).
_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED = "\x01json:"


class SafeText(TypeDecorator[str]):
    """Text as it is; one with NUL or lone surrogates stands as a marker and its ASCII JSON. Equality holds."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or not (_UNSAFE.search(value) or value.startswith(_ESCAPED)):
            return value
        return _ESCAPED + json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or not value.startswith(_ESCAPED):
            return value
        return str(json.loads(value[len(_ESCAPED) :]))


class JsonText(TypeDecorator[Any]):
    """A JSON value as ASCII text, so that every string in it survives (the databases' own JSON types lose some)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime as ISO 8601 text in UTC with microseconds: sorts as time does."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)
