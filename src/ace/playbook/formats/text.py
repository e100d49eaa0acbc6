"""The text format of the original ACE release (github.com/ace-agent/ace): `## SECTION` headers over lines

    [str-00001] helpful=5 harmful=0 :: content

Lines `[id] content` without counters are read too. A bullet's further lines are indented by four spaces, which the
original skips. The format has no neutral and use counters, no provenance and no next number: those do not survive it,
nor do carriage returns at the ends of lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby

from ace.errors import PlaybookFormatError
from ace.playbook.bullet import Bullet, Counters
from ace.playbook.formats.sections import slug_for
from ace.playbook.playbook import Playbook, Section

_INDENT = "    "
_BULLET = re.compile(r"\[([a-z]{2,6})-([0-9]{1,5})\](?:\s*helpful=(\d+)\s+harmful=(\d+)\s*::)? ?(.*)")


def dump_text(playbook: Playbook) -> str:
    """The playbook as text. Sections of one title stand under one header."""
    parts: list[str] = []
    for title, sections in groupby(playbook.sections, key=lambda section: section.title):
        slugs = {section.slug for section in sections}
        parts.append(f"## {title}")
        parts += [_dump_bullet(bullet) for bullet in playbook.bullets if bullet.section in slugs]
        parts.append("")
    return "\n".join(parts)


def _dump_bullet(bullet: Bullet) -> str:
    counters = bullet.counters
    content = f"\n{_INDENT}".join(bullet.content.split("\n"))
    return f"[{bullet.id}] helpful={counters.helpful} harmful={counters.harmful} :: {content}"


def load_text(text: str, source: str = "<text>") -> Playbook:
    """The playbook in `text`. PlaybookFormatError names the line. Bullets come out in the order of their numbers."""
    reader = _Reader(source)
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        reader.read(number, line.removesuffix("\r"))
    return reader.playbook()


@dataclass(slots=True)
class _Draft:
    id: str
    slug: str
    counters: Counters
    lines: list[str]
    number: int


@dataclass(slots=True)
class _Reader:
    source: str
    drafts: list[_Draft] = field(default_factory=list)
    titles: list[tuple[str, list[str]]] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    open: bool = False

    def read(self, number: int, line: str) -> None:
        if self.open and line.startswith(_INDENT):
            self.drafts[-1].lines.append(line.removeprefix(_INDENT))
        elif not line.strip():
            self.open = False
        elif line.startswith("## "):
            self.titles.append((line[3:].strip(), []))
            self.open = False
        elif line.startswith("# "):
            self.open = False
        elif match := _BULLET.fullmatch(line):
            self._bullet(number, *match.groups())
        elif self.open:
            self.drafts[-1].lines.append(line)
        else:
            raise PlaybookFormatError(
                f"{self.source}:{number}: no `## SECTION` header and no bullet `[abc-00012] content`: {line[:60]!r}",
                path=self.source,
                line=number,
            )

    def _bullet(
        self, line: int, slug: str, digits: str, helpful: str | None, harmful: str | None, content: str
    ) -> None:
        identity, number = f"{slug}-{int(digits):05d}", int(digits)
        if number in self.numbers:
            raise PlaybookFormatError(
                f"{self.source}:{line}: number of [{identity}] was used on line {self.numbers[number]} already",
                path=self.source,
                line=line,
            )
        self.numbers[number] = line
        if not self.titles:
            self.titles.append((slug, []))
        slugs = self.titles[-1][1]
        if slug not in slugs:
            slugs.append(slug)
        counters = Counters(helpful=int(helpful or 0), harmful=int(harmful or 0))
        self.drafts.append(_Draft(identity, slug, counters, [content], number))
        self.open = True

    def playbook(self) -> Playbook:
        taken = {draft.slug for draft in self.drafts}
        sections: dict[str, Section] = {}
        for title, slugs in self.titles:
            for slug in slugs or [slug_for(title, taken | sections.keys())]:
                sections.setdefault(slug, Section(slug, title))
        drafts = sorted(self.drafts, key=lambda draft: draft.number)
        bullets = [Bullet(d.id, d.slug, "\n".join(d.lines), d.counters) for d in drafts]
        return Playbook.of(bullets, tuple(sections.values()))
