"""Text that is safe on a terminal, and numbers for people.

Texts of samples, models and files may contain escape sequences, right-to-left overrides or rich markup. `cell` shows
them as the characters that they consist of: they cannot move the cursor, change a colour or hide a word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime

from rich.text import Text

UNKNOWN = "-"
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # part of words and emoji in many scripts


def visible(text: str) -> str:
    """Put `text` on one line and escape its control and formatting characters and lone surrogates."""
    if text.isprintable():
        return text
    return "".join(_escaped(char) if _hidden(char) else char for char in text)


def _hidden(char: str) -> bool:
    return unicodedata.category(char) in _HARMFUL and char not in _JOINERS


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def visible_lines(text: str) -> str:
    """Escape each line of `text` as `visible` does, and keep the lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def cell(text: str, *, style: str = "", limit: int | None = None) -> Text:
    """Make a table cell of `text`, without markup, of at most `limit` characters."""
    line = visible(text)
    if limit is not None and len(line) > limit:
        line = line[: limit - 1] + "…"
    return Text(line, style=style)


def percent(share: float | None) -> str:
    """Format a share in [0, 1] as a percentage."""
    return UNKNOWN if share is None else f"{share:.1%}"


def p_text(p: float | None) -> str:
    """A p value; tiny ones only as that."""
    if p is None:
        return UNKNOWN
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def seconds(value: float | None) -> str:
    """Format a time in seconds: `0.42 s`, `12.3 s`, `4:05`, `1:02:03`."""
    if value is None:
        return UNKNOWN
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def count(value: int) -> str:
    """Format a whole number with spaces between thousands."""
    return f"{value:,}".replace(",", " ")


def by_type(numbers: Mapping[str, int]) -> str:
    """Counts by type: `4 ADD, 24 TAG`."""
    return ", ".join(f"{number} {kind}" for kind, number in sorted(numbers.items())) or "none"


def moment(value: datetime | None) -> str:
    """Format a point in time, in the local zone, to the second."""
    return UNKNOWN if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
