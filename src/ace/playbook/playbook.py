"""The playbook: an immutable value of live bullets and the prefix log that prompts show.

Prompts do not show the bullets directly but the prefix log: a line for each bullet as it was when the log began, then
one appended line for whatever happened since. So the rendered prefix only ever grows, and an engine's prefix cache
stays warm, until a compaction writes the log anew from the live bullets.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import Any, Literal, get_args

from ace._util.hashing import digest
from ace.errors import PlaybookError
from ace.playbook.bullet import SLUG, Bullet, QuarantinedBullet, clean_text, normalize_whitespace
from ace.types import fields_of

LineKind = Literal["bullet", "updated", "removed"]


SYSTEM_PROMPT = "Advice from earlier work on this task:"
"""The first line of a playbook as a system prompt."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading that bullets stand under; `slug` begins their ids. A title is one line."""

    slug: str
    title: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", " ".join(clean_text(self.title).split()))


@dataclass(frozen=True, slots=True)
class PrefixLine:
    """One line of the prefix log. A `removed` line holds what the bullet said last."""

    kind: LineKind
    id: str
    content: str


@dataclass(frozen=True)
class Playbook:
    """Live bullets in creation order, the log behind the prefix, and the bullets that a guard keeps out of both.

    `version` counts the deltas that changed something; `next_number` is the number of the next bullet, higher than any
    ever used. `quarantined` bullets are not live: no id, length, budget or prefix knows of them, and their sections
    need not exist. PlaybookError where a number is used twice or a section is missing.
    """

    version: int
    next_number: int
    sections: tuple[Section, ...]
    bullets: tuple[Bullet, ...]
    prefix: tuple[PrefixLine, ...]
    quarantined: tuple[QuarantinedBullet, ...] = ()

    def __post_init__(self) -> None:
        slugs = {section.slug for section in self.sections}
        if len(slugs) != len(self.sections) or not all(SLUG.fullmatch(slug) for slug in slugs):
            raise PlaybookError("section slugs must be distinct and 2 to 6 letters a-z each")
        numbers: set[int] = set()
        everything: tuple[Bullet | QuarantinedBullet, ...] = (*self.bullets, *self.quarantined)
        for bullet in everything:
            if bullet.number in numbers:
                raise PlaybookError(f"bullet number of {bullet.id} is used twice")
            if bullet.number >= self.next_number:
                raise PlaybookError(f"next_number {self.next_number} was already given to a bullet: {bullet.id}")
            if bullet.section not in slugs and isinstance(bullet, Bullet):
                raise PlaybookError(f"bullet {bullet.id} is in section {bullet.section!r}, which does not exist")
            if not bullet.id.startswith(f"{bullet.section}-"):
                raise PlaybookError(f"bullet {bullet.id} is in section {bullet.section!r}, its id says another")
            numbers.add(bullet.number)

    @classmethod
    def empty(cls, sections: Sequence[Section] = ()) -> Playbook:
        """No bullets yet; the first one gets number 1."""
        return cls(version=0, next_number=1, sections=tuple(sections), bullets=(), prefix=())

    @classmethod
    def of(
        cls,
        bullets: Sequence[Bullet],
        sections: Sequence[Section],
        *,
        next_number: int | None = None,
        quarantined: Sequence[QuarantinedBullet] = (),
    ) -> Playbook:
        """A playbook, version 0, that starts with `bullets`. Numbers go on above the highest one."""
        highest = max(
            max((bullet.number for bullet in bullets), default=0),
            max((bullet.number for bullet in quarantined), default=0),
        )
        number = max(highest + 1, next_number or 1)
        return cls(0, number, tuple(sections), tuple(bullets), _lines(bullets), tuple(quarantined))

    def __len__(self) -> int:
        return len(self.bullets)

    @cached_property
    def by_id(self) -> dict[str, Bullet]:
        """The live bullets by id."""
        return {bullet.id: bullet for bullet in self.bullets}

    @cached_property
    def ids_by_text(self) -> dict[str, list[str]]:
        """Ids of the live bullets by their content with collapsed white space. A file can have two of one content."""
        ids: dict[str, list[str]] = {}
        for bullet in self.bullets:
            ids.setdefault(normalize_whitespace(bullet.content), []).append(bullet.id)
        return ids

    def get(self, identity: str) -> Bullet | None:
        """The live bullet of that id, None where there is none."""
        return self.by_id.get(identity)

    @property
    def dead_lines(self) -> int:
        """Lines of the prefix that a compaction would save."""
        return len(self.prefix) - len(self.bullets)

    @property
    def prefix_is_true(self) -> bool:
        """True if the prefix log adds up to the live bullets. False after an edit by hand."""
        contents: dict[str, str] = {}
        for line in self.prefix:
            if line.kind == "removed":
                contents.pop(line.id, None)
            else:
                contents[line.id] = line.content
        return contents == {bullet.id: bullet.content for bullet in self.bullets}

    def advice(self, heading: str = "#") -> str:
        """The bullets by section as Markdown, without ids and counters; "" where there are none."""
        parts = []
        for section in self.sections:
            contents = [bullet.content for bullet in self.bullets if bullet.section == section.slug]
            if contents:
                items = "\n".join("- " + content.replace("\n", "\n  ") for content in contents)
                parts.append(f"{heading} {section.title}\n\n{items}\n")
        return "\n".join(parts)

    def as_system_prompt(self) -> str:
        """The bullets as text for any system prompt; "" where there are none."""
        advice = self.advice()
        return f"{SYSTEM_PROMPT}\n\n{advice}" if advice else ""

    def _repr_html_(self) -> str:
        """A table for notebooks, in which control and direction characters are shown as escapes."""
        rows = "".join(
            f"<tr><td><code>{bullet.id}</code></td><td style='text-align:left'>{_html(bullet.content)}</td>"
            f"<td>{bullet.counters.helpful}</td><td>{bullet.counters.harmful}</td></tr>"
            for bullet in self.bullets
        )
        return f"<table><tr><th>id</th><th>bullet</th><th>helpful</th><th>harmful</th></tr>{rows}</table>"

    def compacted(self) -> Playbook:
        """The same playbook with its log written anew: one line for each live bullet, in creation order."""
        return replace(self, prefix=_lines(self.bullets))

    def without(self, ids: Collection[str]) -> Playbook:
        """The same version, compacted, without these live bullets."""
        bullets = tuple(bullet for bullet in self.bullets if bullet.id not in ids)
        return replace(self, bullets=bullets, prefix=_lines(bullets))

    @cached_property
    def digest(self) -> str:
        """`sha256:` and the hash of the canonical JSON."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "next_number": self.next_number,
            "sections": [fields_of(section) for section in self.sections],
            "bullets": [bullet.to_json() for bullet in self.bullets],
            "prefix": [fields_of(line) for line in self.prefix],
            # Only where there are any: playbooks without them keep the JSON, and so the digest, that they always had.
            **({"quarantined": [bullet.to_json() for bullet in self.quarantined]} if self.quarantined else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Playbook:
        """The reverse of `to_json`. PlaybookError if the data breaks a rule or lacks a key."""
        try:
            return cls(
                version=int(data["version"]),
                next_number=int(data["next_number"]),
                sections=tuple(Section(**section) for section in data["sections"]),
                bullets=tuple(Bullet.from_json(bullet) for bullet in data["bullets"]),
                prefix=tuple(_line(line) for line in data["prefix"]),
                quarantined=tuple(QuarantinedBullet.from_json(bullet) for bullet in data.get("quarantined", ())),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlaybookError(f"not a playbook: {error!r}") from error


def _line(data: Mapping[str, Any]) -> PrefixLine:
    line = PrefixLine(**data)
    if line.kind not in get_args(LineKind) or type(line.id) is not str or type(line.content) is not str:
        raise ValueError(f"{line!r} is not a line of the prefix")
    return line


def _lines(bullets: Sequence[Bullet]) -> tuple[PrefixLine, ...]:
    return tuple(PrefixLine("bullet", bullet.id, bullet.content) for bullet in bullets)


def _html(text: str) -> str:
    chars = (char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text)
    return escape("".join(chars)).replace("\n", "<br>")
