"""The text format of the original ACE release (github.com/ace-agent/ace): `## SECTION` headers over lines

    [str-00001] helpful=5 harmful=0 :: content

Lines `[id] content` without counters are read too, and lines that belong to no bullet or header continue the bullet
before them. What the format has no place for is written in lines that the original leaves alone: a bullet's further
lines after `    | `, so that no content can forge a bullet or header; and, only where reading could not tell them, a
section's slug and the next number, as `# slug: fact` and `# next number: 58`. Neutral and use counters and provenance
do not survive it. Quarantined bullets are left out, because what reads this format puts all of it into a prompt; the
next number keeps their ids from being given again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ace.errors import PlaybookFormatError
from ace.playbook.bullet import Bullet, Counters
from ace.playbook.section_names import slug_for
from ace.playbook.playbook import Playbook, Section

_MORE = "    | "
_BULLET = re.compile(r"\[([a-z]{2,6})-([0-9]{1,5})\](?:\s*helpful=(\d{1,15})\s*harmful=(\d{1,15})\s*::)? ?(.*)")
_SLUG = re.compile(r"# slug: ([a-z]{2,6})")
_NEXT = re.compile(r"# next number: ([0-9]{1,6})")


def dump_text(playbook: Playbook) -> str:
    """The playbook as text, sections in order."""
    return "".join(f"{line}\n" for line in _lines(playbook))


def _lines(playbook: Playbook) -> Iterator[str]:
    bullets: dict[str, list[Bullet]] = {section.slug: [] for section in playbook.sections}
    for bullet in playbook.bullets:
        bullets[bullet.section].append(bullet)
    if playbook.next_number != 1 + max((bullet.number for bullet in playbook.bullets), default=0):
        yield from (f"# next number: {playbook.next_number}", "")
    taken = {slug for slug, held in bullets.items() if held}
    for section in playbook.sections:
        yield f"## {section.title}"
        if not bullets[section.slug]:
            if slug_for(section.title, taken) != section.slug:
                yield f"# slug: {section.slug}"
            taken.add(section.slug)
        for bullet in bullets[section.slug]:
            counters = bullet.counters
            first, *more = bullet.content.split("\n")
            yield f"[{bullet.id}] helpful={counters.helpful} harmful={counters.harmful} :: {first}"
            yield from (f"{_MORE}{line}" for line in more)
        yield ""


def load_text(text: str, source: str = "<text>") -> Playbook:
    """The playbook in `text`. PlaybookFormatError names the line. Bullets come out in the order of their numbers."""
    reader = _Reader(source)
    for number, line in enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), 1):
        reader.read(number, line)
    return reader.playbook()


@dataclass(slots=True)
class _Draft:
    id: str
    slug: str
    number: int
    counters: Counters
    lines: list[str]


@dataclass(slots=True)
class _Reader:
    source: str
    drafts: list[_Draft] = field(default_factory=list)
    titles: list[tuple[str, list[str]]] = field(default_factory=list)
    """Titles with the slugs seen under them, in order."""
    numbers: dict[int, int] = field(default_factory=dict)
    """Bullet numbers and the lines on which they stand."""
    next_number: int = 1
    open: bool = False
    """Whether a bullet has begun under the last header."""

    def read(self, number: int, line: str) -> None:
        if self.open and line.startswith(_MORE.rstrip()):
            self.drafts[-1].lines.append(line.removeprefix(_MORE.rstrip()).removeprefix(" "))
        elif line.startswith("##") and not line.startswith("###"):
            self.titles.append((line[2:].strip(), []))
            self.open = False
        elif match := _BULLET.fullmatch(line.lstrip()):
            self._bullet(number, *match.groups())
        elif match := _NEXT.fullmatch(line):
            self.next_number = int(match.group(1))
        elif (match := _SLUG.fullmatch(line)) and self.titles:
            self.titles[-1][1].append(match.group(1))
        elif self.open:
            self.drafts[-1].lines.append(line)
        elif line.strip() and not line.startswith("#"):
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
        self.drafts.append(_Draft(identity, slug, number, counters, [content]))
        self.open = True

    def playbook(self) -> Playbook:
        taken = {slug for _, slugs in self.titles for slug in slugs}
        sections: dict[str, Section] = {}
        for title, slugs in self.titles:
            for slug in slugs or [slug_for(title, taken | sections.keys())]:
                sections.setdefault(slug, Section(slug, title))
        drafts = sorted(self.drafts, key=lambda draft: draft.number)
        bullets = [Bullet(d.id, d.slug, "\n".join(d.lines), d.counters) for d in drafts]
        return Playbook.of(bullets, tuple(sections.values()), next_number=self.next_number)
