"""The text format of the original ACE release (github.com/ace-agent/ace): `## SECTION` headers over lines.

    [str-00001] helpful=5 harmful=0 :: content

Lines `[id] content` without counters are read too, and lines that belong to no bullet or header continue the bullet
before them. So are the shapes that people and models have made of it: list marks, bold ids, blanks around counters and
further counters, ids with other prefixes, numbers that begin anew in each section, headings of other levels. Where a
bullet cannot keep its id, a note says so.

What the format has no place for is written in lines that the original leaves alone: a bullet's further lines after
`    | `, so that no content can forge a bullet or header; and, only where reading could not tell them, a section's slug
and the next number, as `# slug: fact` and `# next number: 58`. Neutral and use counters and provenance do not survive
it. Quarantined bullets are left out, because what reads this format puts all of it into a prompt; the next number keeps
their ids from being given again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ace.errors import PlaybookFormatError
from ace.playbook.bullet import LAST_NUMBER, SLUG, Bullet
from ace.playbook.io.original_lines import BulletLine, is_heading, read_bullet_line
from ace.playbook.playbook import Playbook, Section
from ace.playbook.section_names import slug_for

_MORE = "    | "
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
    taken = {slug for slug, section_bullets in bullets.items() if section_bullets}
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


def load_text(text: str, source: str = "<text>", *, notes: list[str] | None = None) -> Playbook:
    """The playbook in `text`. PlaybookFormatError names the line. Bullets come out in the order of their numbers.

    What could not be kept as it is in the file (an id, a counter, a second title of one section) is appended to
    `notes`.
    """
    lines = re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff"))
    reader = _Reader(source, lines)
    for number, line in enumerate(lines, 1):
        reader.read(number, line)
    playbook = reader.playbook()
    if notes is not None:
        notes.extend(reader.notes)
    return playbook


def is_original_text(text: str) -> bool:
    """Return True if `text` is of this format rather than Markdown of ours, by the first bullet in it."""
    bullets = (
        line for line in text.splitlines() if (line_parts := read_bullet_line(line)) is not None and line_parts.certain
    )
    return not next(bullets, "- `").startswith("- `")


@dataclass(slots=True)
class _Draft:
    """A bullet whose lines are still coming, with the id as it is written and the section's place in the file."""

    written: BulletLine
    line: int
    section: int
    lines: list[str]


@dataclass(slots=True)
class _Title:
    """A section's title; `slug` where the file names it, `prefixes` those of the bullets under it, in order."""

    text: str
    slug: str = ""
    prefixes: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Reader:
    source: str
    lines: Sequence[str]
    drafts: list[_Draft] = field(default_factory=list)
    titles: list[_Title] = field(default_factory=list)
    occurrences: dict[tuple[int, str, int], int] = field(default_factory=dict)
    """Section, prefix and number of every bullet, and the line on which it stands."""
    notes: list[str] = field(default_factory=list)
    next_number: int = 1
    open: bool = False
    """True if a bullet has begun under the last header."""
    level_two: bool = field(init=False)
    next_is_bullet: list[bool] = field(init=False)
    """For every place: whether the first line from there on that is not blank begins a bullet."""

    def __post_init__(self) -> None:
        self.level_two = any(line.startswith("##") and not line.startswith("###") for line in self.lines)
        self.next_is_bullet = [False] * (len(self.lines) + 1)
        for place in range(len(self.lines) - 1, -1, -1):
            line, after = self.lines[place], self.next_is_bullet[place + 1]
            self.next_is_bullet[place] = read_bullet_line(line) is not None if line.strip() else after

    def read(self, number: int, line: str) -> None:
        if self.open and line.startswith(_MORE.rstrip()):
            self.drafts[-1].lines.append(line.removeprefix(_MORE.rstrip()).removeprefix(" "))
        elif self._is_header(number, line):
            self.titles.append(_Title(line.strip().strip("#*_").strip()))
            self.open = False
        elif (bullet := self._bullet_line(line)) is not None:
            self._begin(number, bullet)
        elif match := _NEXT.fullmatch(line):
            self.next_number = int(match.group(1))
        elif (match := _SLUG.fullmatch(line)) and self.titles:
            self.titles[-1].slug = match.group(1)
        elif self.open:
            self.drafts[-1].lines.append(line)
        elif line.strip() and not line.startswith("#"):
            raise self._error(number, f"no `## SECTION` header and no bullet `[abc-00012] content`: {line[:60]!r}")

    def _is_header(self, number: int, line: str) -> bool:
        """`## TITLE`; in a file without any, other headings right above a bullet."""
        if self.level_two:
            return line.startswith("##") and not line.startswith("###")
        if _NEXT.fullmatch(line) or _SLUG.fullmatch(line) or not is_heading(line):
            return False
        return self.next_is_bullet[number]

    def _bullet_line(self, line: str) -> BulletLine | None:
        bullet = read_bullet_line(line)
        if bullet is None or bullet.certain or not self.open:
            return bullet
        return bullet if any(bullet.prefix in title.prefixes for title in self.titles) else None

    def _begin(self, line: int, bullet: BulletLine) -> None:
        if not self.titles:
            self.titles.append(_Title(bullet.prefix))
        section = len(self.titles) - 1
        key = (section, bullet.prefix, bullet.number)
        if key in self.occurrences:
            raise self._error(line, f"[{bullet.id}] stands on line {self.occurrences[key]} already")
        self.occurrences[key] = line
        self.titles[-1].prefixes[bullet.prefix] = None
        self.drafts.append(_Draft(bullet, line, section, [bullet.content]))
        self.open = True
        self.notes += [f"line {line}: counter {name} of [{bullet.id}] is not kept" for name in bullet.other_counters]

    def playbook(self) -> Playbook:
        slugs = self._slugs()
        sections: dict[str, Section] = {}
        for place, title in enumerate(self.titles):
            for slug in dict.fromkeys(slugs[place, prefix] for prefix in title.prefixes or ("",)):
                section = sections.setdefault(slug, Section(slug, title.text))
                if section.title != Section(slug, title.text).title:
                    self.notes.append(
                        f"section {title.text!r} is read as {section.title!r}: its bullets are {slug}-, too"
                    )
        numbers = self._numbers()
        bullets = []
        for draft, number in zip(self.drafts, numbers, strict=True):
            slug = slugs[draft.section, draft.written.prefix]
            bullet = Bullet(f"{slug}-{number:05d}", slug, "\n".join(draft.lines), draft.written.counters)
            if (slug, number) != (draft.written.prefix, draft.written.number):
                self.notes.append(f"line {draft.line}: [{draft.written.id}] is read as [{bullet.id}]")
            bullets.append(bullet)
        bullets.sort(key=lambda bullet: bullet.number)
        return Playbook.of(bullets, tuple(sections.values()), next_number=self.next_number)

    def _slugs(self) -> dict[tuple[int, str], str]:
        """The slug of each prefix under each title: the prefix itself if it is one, else another of its section.

        A prefix whose numbers begin anew under another title says nothing of the section.
        """
        taken = {prefix for title in self.titles for prefix in title.prefixes if SLUG.fullmatch(prefix)}
        taken |= {title.slug for title in self.titles}
        numbers: dict[str, set[int]] = {}
        under: dict[tuple[int, str], set[int]] = {}
        for place, prefix, number in self.occurrences:
            under.setdefault((place, prefix), set()).add(number)
        slugs: dict[tuple[int, str], str] = {}
        for place, title in enumerate(self.titles):
            own = title.slug
            for prefix in title.prefixes or ("",):
                own_numbers = under.get((place, prefix), set())
                anew = not own_numbers.isdisjoint(numbers.setdefault(prefix, set()))
                numbers[prefix] |= own_numbers
                valid = SLUG.fullmatch(prefix) is not None and not anew
                slugs[place, prefix] = prefix if valid else own or slug_for(title.text, taken)
                own = own or slugs[place, prefix]
                taken.add(own)
        return slugs

    def _numbers(self) -> list[int]:
        """The drafts' numbers, each once: one that was used before, or is too high, becomes a free one above all."""
        used: set[int] = set()
        numbers: list[int | None] = []
        for draft in self.drafts:
            number = draft.written.number
            fits = number <= LAST_NUMBER and number not in used
            used.add(number)
            numbers.append(number if fits else None)
        following = max((number for number in numbers if number is not None), default=0) + 1
        following = max(following, self.next_number if self.next_number <= LAST_NUMBER else following)
        fresh = iter(range(following, LAST_NUMBER + 1 + len(numbers)))
        return [next(fresh) if number is None else number for number in numbers]

    def _error(self, line: int, problem: str) -> PlaybookFormatError:
        return PlaybookFormatError(f"{self.source}:{line}: {problem}", path=self.source, line=line)
