"""A bullet: one short piece of advice, with an id that is never reused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ace.errors import PlaybookError
from ace.types import fields_of

SLUG = re.compile(r"[a-z]{2,6}")
BULLET_ID = re.compile(r"([a-z]{2,6})-([0-9]{5})")
LAST_NUMBER = 99_999

_BREAKS = re.compile("\\r\\n|[\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029]")
_CONTROLS = re.compile("[\\x00-\\x08\\x0e-\\x1f\\x7f-\\x9f]")
_SURROGATES = re.compile("[\\ud800-\\udfff]")


def clean_text(text: str) -> str:
    r"""`text` as bullets hold it: `\n` the only line break, no control characters, no lone surrogates, stripped.

    What a model or a file says can then be stored, exported and read back by any of them without turning into other
    lines. Idempotent.
    """
    if not text.isprintable():
        text = _CONTROLS.sub("", _BREAKS.sub("\n", text))
        text = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
    return text.strip()


def normalize_whitespace(text: str) -> str:
    """Collapse white space. Case-sensitive, since case tells codes apart."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Counters:
    """Evidence of a bullet's worth. Not in the prefix: counters change, the prefix may not."""

    helpful: int = 0
    harmful: int = 0
    neutral: int = 0
    uses: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            self.helpful + other.helpful,
            self.harmful + other.harmful,
            self.neutral + other.neutral,
            self.uses + other.uses,
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Counters:
        """Counters from whole numbers of at least 0; those that are not given are 0. TypeError or ValueError."""
        for name, count in data.items():
            if type(count) is not int or count < 0:
                raise ValueError(f"{name} is {count!r}, not a whole number of at least 0")
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a bullet's text came from; None where it is not known."""

    run: str | None = None
    batch: int | None = None
    sample: str | None = None
    role: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Bullet:
    """`id` is `<section slug>-<five digits>`; the digits are unique over the whole playbook.

    `content` may have several lines; it is kept as `clean_text` leaves it.
    """

    id: str
    section: str
    content: str
    counters: Counters = field(default_factory=Counters)
    created: Provenance = field(default_factory=Provenance)
    updated: Provenance | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", clean_text(self.content))

    @property
    def number(self) -> int:
        """The number in the id."""
        return bullet_number(self.id)

    def to_json(self) -> dict[str, Any]:
        updated = None if self.updated is None else fields_of(self.updated)
        return {
            **fields_of(self),
            "counters": fields_of(self.counters),
            "created": fields_of(self.created),
            "updated": updated,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Bullet:
        """The reverse of `to_json`. KeyError, TypeError, ValueError or AttributeError if that is not what `data` is."""
        return cls(
            id=data["id"],
            section=data["section"],
            content=data["content"],
            counters=Counters.from_json(data["counters"]),
            created=Provenance(**data["created"]),
            updated=Provenance(**data["updated"]) if data["updated"] else None,
        )


@dataclass(frozen=True, slots=True)
class QuarantinedBullet:
    """A bullet that is kept for people to judge and that no prompt shows. A reason is one line."""

    id: str
    section: str
    content: str
    reasons: tuple[str, ...] = ()
    created: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", clean_text(self.content))
        reasons = (" ".join(clean_text(reason).split()) for reason in self.reasons)
        object.__setattr__(self, "reasons", tuple(reason for reason in reasons if reason))

    @property
    def number(self) -> int:
        return bullet_number(self.id)

    def to_json(self) -> dict[str, Any]:
        return {**fields_of(self), "created": fields_of(self.created)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> QuarantinedBullet:
        """The reverse of `to_json`. KeyError, TypeError, ValueError or AttributeError if that is not what `data` is."""
        if not isinstance(data["reasons"], list | tuple):
            raise TypeError(f"reasons are {data['reasons']!r}, not a list")
        created = Provenance(**data["created"])
        return cls(data["id"], data["section"], data["content"], tuple(data["reasons"]), created)


def bullet_id(slug: str, number: int) -> str:
    """The id of bullet `number` in section `slug`. PlaybookError if either is out of range."""
    if not SLUG.fullmatch(slug):
        raise PlaybookError(f"section slug {slug!r} is not 2 to 6 letters a-z")
    if not 0 <= number <= LAST_NUMBER:
        raise PlaybookError(f"bullet number {number} is not between 0 and {LAST_NUMBER}")
    return f"{slug}-{number:05d}"


def bullet_number(identity: str) -> int:
    """The number in a bullet's id. PlaybookError if it is not an id."""
    match = BULLET_ID.fullmatch(identity)
    if match is None:
        raise PlaybookError(f"{identity!r} is not a bullet id such as str-00012")
    return int(match.group(2))
