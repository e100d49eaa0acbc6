"""One line of the original text format, in the shapes that people and models write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ace.playbook.bullet import SLUG, Counters

_BOLD: Final = r"(?:\*\*|__|`)?"
_ID: Final = r"([A-Za-z][A-Za-z0-9_\-]{0,30}?)[-_:#]([0-9]{1,9})"
_BULLET = re.compile(
    rf"\s*(?P<mark>[-*+•–]\s+|\d{{1,3}}[.)]\s+)?"
    rf"(?:{_BOLD}\[\s*{_BOLD}{_ID}{_BOLD}\s*\]{_BOLD}|(?P<bold>\*\*|__|`){_ID}:?(?P=bold)|{_ID}(?=\s+helpful))"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_COUNTER: Final = r"([A-Za-z_]{2,20})\s*[=:]\s*(-?\d{1,15}(?:\.\d{1,15})?)(?![\w.])"
_COUNTERS = re.compile(rf"\s*[(\[{{]?((?:\s*{_COUNTER}\s*[,;|]?)+)\s*[)\]}}]?\s*(::|:(?!:))? ?")
_NAMES: Final = {"used": "uses", "use": "uses", "usage": "uses", "count": "uses"}
_COUNTER_NAMES: Final = ("helpful", "harmful", "neutral", "uses")
_HEADING = re.compile(r"#{1,6}\s+\S.*|(\*\*|__)[^*_]+:?\1:?|[^\W\d_a-zß-ÿ][^a-zß-ÿ\[\]]{3,80}")


@dataclass(frozen=True, slots=True)
class BulletLine:
    """The first line of a bullet. `certain`: it cannot be meant as the text of the bullet before it."""

    prefix: str
    number: int
    counters: Counters
    other_counters: tuple[str, ...]
    content: str
    certain: bool

    @property
    def id(self) -> str:
        return f"{self.prefix}-{self.number:05d}"


def read_bullet_line(line: str) -> BulletLine | None:
    """The bullet that begins on `line`, None where none does."""
    match = _BULLET.fullmatch(line)
    if match is None:
        return None
    prefix, digits = match[2] or match[5] or match[7], match[3] or match[6] or match[8]
    lower = prefix.lower() if SLUG.fullmatch(prefix.lower()) else prefix
    counters, other, content = _read_counters(match["rest"])
    plain = match["mark"] is None and match["bold"] is None and SLUG.fullmatch(prefix) is not None and len(digits) < 6
    long = len(digits) >= 3 if SLUG.fullmatch(prefix) else len(digits) == 5
    return BulletLine(
        prefix=lower,
        number=int(digits),
        counters=counters or Counters(),
        other_counters=other,
        content=content,
        certain=counters is not None or plain or long,
    )


def is_heading(line: str) -> bool:
    """Return True if a line by itself looks like a heading: of Markdown, in bold, or in capitals."""
    return _HEADING.fullmatch(line.strip()) is not None


def _read_counters(rest: str) -> tuple[Counters | None, tuple[str, ...], str]:
    """The counters at the beginning of `rest`, the names of those that bullets do not have, and the content."""
    match = _COUNTERS.match(rest)
    counters = re.findall(_COUNTER, match[1]) if match else []
    values = {_NAMES.get(name.lower(), name.lower()): number for name, number in counters}
    meant = "helpful" in values and ("harmful" in values or (match is not None and match[4] is not None))
    if match is None or not meant:
        return None, (), re.sub(r"\s*:(?!:)\s?|^ ", "", rest, count=1) if rest[:1] in (" ", ":") else rest
    whole = {name: int(number) for name, number in values.items() if name in _COUNTER_NAMES and number.isdecimal()}
    other = tuple(name for name in values if name not in whole)
    return Counters(**whole), other, rest[match.end() :]
