"""Reading the files that agents read, a SKILL.md, an AGENTS.md or a system prompt, back as a playbook."""

from __future__ import annotations

import re

from ace.errors import PlaybookFormatError
from ace.playbook.bullet import Bullet, bullet_id
from ace.playbook.io.agent_files import BEGIN, END
from ace.playbook.playbook import SYSTEM_PROMPT, Playbook, Section
from ace.playbook.section_names import REST, slug_for

_HEADING = re.compile(r"#{1,6}\s+(?P<title>.*\S)\s*")
_ITEM = re.compile(r" {0,3}[-*+]\s+(?P<content>.*\S)\s*")
_FRONT_MATTER = re.compile(r"\A---\n.*?^---\n", re.DOTALL | re.MULTILINE)


def is_agent_text(text: str) -> bool:
    """Return True for a text with front matter, with the markers of our section, or with our first line."""
    return BEGIN in text or _FRONT_MATTER.match(text) is not None or text.startswith(SYSTEM_PROMPT)


def load_agent_text(text: str, source: str, *, notes: list[str] | None = None) -> Playbook:
    """The playbook of the list items below the headings; of an AGENTS.md that of the section between its markers.

    Ids are given anew and counters begin at 0. Lines that are neither heading nor list item are named in `notes`.
    PlaybookFormatError where there is no item at all.
    """
    first = 1
    if BEGIN in text and END in text:
        before, _, text = text.partition(BEGIN)
        first, text = before.count("\n") + 1, text.partition(END)[0]
    elif (front := _FRONT_MATTER.match(text)) is not None:
        first, text = front[0].count("\n") + 1, text[front.end() :]
    elif text.startswith(SYSTEM_PROMPT):
        text = text.removeprefix(SYSTEM_PROMPT)
    title = REST.title
    items: list[tuple[str, list[str]]] = []
    within = False
    for number, line in enumerate(text.replace("&lt;!--", "<!--").split("\n"), first):
        if within and line.startswith("  "):
            items[-1][1].append(line.removeprefix("  "))
        elif (heading := _HEADING.fullmatch(line)) is not None:
            title, within = heading["title"], False
        elif (item := _ITEM.fullmatch(line)) is not None:
            items.append((title, [item["content"]]))
            within = True
        elif line.strip():
            within = False
            if notes is not None and line.strip() != "No advice yet.":
                notes.append(f"line {number} is left out, it is no list item: {line.strip()[:80]!r}")
    if not items:
        raise PlaybookFormatError(f"{source}: no list item that could be a bullet", path=source)
    slugs: dict[str, str] = {}
    bullets = []
    for number, (title, lines) in enumerate(items, 1):
        slug = slugs.setdefault(title, slug_for(title, set(slugs.values())))
        bullets.append(Bullet(bullet_id(slug, number), slug, "\n".join(lines)))
    return Playbook.of(bullets, [Section(slug, title) for title, slug in slugs.items()])
