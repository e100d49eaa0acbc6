"""Markdown for people to read and review: `## Title (slug)` over a list item for each bullet.

Reads back what it wrote, all but the version and the provenance; a bullet's further lines are indented. Quarantined
bullets stand at the end under `## Quarantined`, each after its reasons as `> reason` lines; to release one, move its
item under its section.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ace.errors import PlaybookFormatError
from ace.playbook.bullet import Bullet, Counters, QuarantinedBullet
from ace.playbook.playbook import Playbook, Section

_INDENT = "  "
_QUARANTINE = "## Quarantined"
_REASON = re.compile("> ?(.*)")
_HEADER = re.compile(r"## (.*) \(([a-z]{2,6})\)")
_ITEM = re.compile(
    r"- `([a-z]{2,6})-([0-9]{5})` \(helpful (\d{1,15}), harmful (\d{1,15}), neutral (\d{1,15}), uses (\d{1,15})\) (.*)"
)
_NEXT = re.compile(r"<!-- next number: (\d{1,6}) -->")


def dump_markdown(playbook: Playbook) -> str:
    """The playbook as Markdown, sections in order, bullets in creation order within them."""
    parts = ["# Playbook", "", f"<!-- next number: {playbook.next_number} -->"]
    for section in playbook.sections:
        parts += ["", f"## {section.title} ({section.slug})", ""]
        parts += [_item(bullet) for bullet in playbook.bullets if bullet.section == section.slug]
    if playbook.quarantined:
        parts += ["", _QUARANTINE]
    for bullet in playbook.quarantined:
        parts += [
            "",
            *(f"> {reason}" for reason in bullet.reasons),
            _item(Bullet(bullet.id, bullet.section, bullet.content)),
        ]
    return "\n".join(parts) + "\n"


def _item(bullet: Bullet) -> str:
    c = bullet.counters
    content = f"\n{_INDENT}".join(bullet.content.split("\n"))
    head = f"- `{bullet.id}` (helpful {c.helpful}, harmful {c.harmful}, neutral {c.neutral}, uses {c.uses})"
    return f"{head} {content}"


@dataclass(slots=True)
class _Draft:
    """A bullet whose lines are still coming. `reasons` None: it is live."""

    id: str
    section: str
    counters: Counters
    lines: list[str]
    reasons: tuple[str, ...] | None

    @property
    def content(self) -> str:
        return "\n".join(self.lines)


def load_markdown(text: str, source: str = "<markdown>") -> Playbook:
    """The playbook in Markdown that `dump_markdown` wrote. PlaybookFormatError names the line."""
    sections: list[Section] = []
    drafts: list[_Draft] = []
    reasons: list[str] | None = None
    following = 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if match := _ITEM.fullmatch(line):
            slug, digits, *counts, content = match.groups()
            if reasons is None and all(section.slug != slug for section in sections):
                raise _error(source, number, f"bullet {slug}-{digits} stands under no section of its slug")
            counters = Counters(*(int(count) for count in counts))
            why = None if reasons is None else tuple(reasons)
            drafts.append(_Draft(f"{slug}-{digits}", slug, counters, [content], why))
            reasons = None if reasons is None else []
        elif match := _HEADER.fullmatch(line):
            sections.append(Section(match.group(2), match.group(1)))
            reasons = None
        elif line == _QUARANTINE:
            reasons = []
        elif reasons is not None and (match := _REASON.fullmatch(line)):
            reasons.append(match.group(1))
        elif match := _NEXT.fullmatch(line):
            following = int(match.group(1))
        elif drafts and (line.startswith(_INDENT) or not line.strip()):
            drafts[-1].lines.append(line.removeprefix(_INDENT))
        elif line.strip() and line != "# Playbook":
            raise _error(source, number, f"not a line of a playbook: {line[:60]!r}")
    drafts.sort(key=lambda draft: int(draft.id[-5:]))
    return Playbook.of(
        [Bullet(d.id, d.section, d.content, d.counters) for d in drafts if d.reasons is None],
        sections,
        next_number=following,
        quarantined=[QuarantinedBullet(d.id, d.section, d.content, d.reasons) for d in drafts if d.reasons is not None],
    )


def _error(source: str, line: int, problem: str) -> PlaybookFormatError:
    return PlaybookFormatError(f"{source}:{line}: {problem}", path=source, line=line)
