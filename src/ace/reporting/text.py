"""Data as text that is safe on a terminal, and numbers as people read them.

What a sample, a model or a file says may hold escape sequences, right-to-left overrides or rich markup. `cell` shows
all of it as the characters it is made of; nothing of it can move the cursor, change a colour or hide a word.
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
    """`text` on one line, with control and formatting characters and lone surrogates written as escapes."""
    return "".join(_escaped(char) if _hidden(char) else char for char in text)


def _hidden(char: str) -> bool:
    return unicodedata.category(char) in _HARMFUL and char not in _JOINERS


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def visible_lines(text: str) -> str:
    """`text` with its lines kept and everything else as in `visible`."""
    return "\n".join(visible(line) for line in text.split("\n"))


def cell(text: str, *, style: str = "", limit: int | None = None) -> Text:
    """`text` for a table, without markup; cut to `limit` characters."""
    shown = visible(text)
    if limit is not None and len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    return Text(shown, style=style)


def percent(share: float | None) -> str:
    """A share in [0, 1] as a percentage."""
    return UNKNOWN if share is None else f"{share:.1%}"


def seconds(value: float | None) -> str:
    """A time in seconds: `0.42 s`, `12.3 s`, `4:05`, `1:02:03`."""
    if value is None:
        return UNKNOWN
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def count(value: int) -> str:
    """A whole number with thousands apart."""
    return f"{value:,}".replace(",", " ")


def by_type(numbers: Mapping[str, int]) -> str:
    """How many of each type: `4 ADD, 24 TAG`."""
    return ", ".join(f"{number} {kind}" for kind, number in sorted(numbers.items())) or "none"


def moment(value: datetime | None) -> str:
    """A point in time, in the local zone, to the second."""
    return UNKNOWN if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
