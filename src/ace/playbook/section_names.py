"""Section slugs for files that only have titles, and sections for names that models give them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ace.errors import PlaybookError
from ace.playbook.bullet import SLUG
from ace.playbook.playbook import Section

_ORIGINAL = {
    "strategies and hard rules": "shr",
    "strategies and insights": "str",
    "financial strategies and insights": "fin",
    "apis to use for specific information": "api",
    "useful code snippets and templates": "code",
    "code snippets and templates": "code",
    "formulas and calculations": "calc",
    "common mistakes and correct strategies": "cms",
    "common mistakes to avoid": "err",
    "problem solving heuristics and workflows": "psw",
    "problem solving heuristics": "prob",
    "context clues and indicators": "ctx",
    "verification checklist": "vc",
    "troubleshooting and pitfalls": "tap",
    "meta strategies": "meta",
    "others": "misc",
}
"""The slugs that the original release and its playbooks use for their sections."""

REST = Section("misc", "Others")
"""Where a bullet goes whose section nobody knows."""

_REST_TITLES = frozenset(
    {"other", "others", "misc", "miscellaneous", "general", "rest", "various", "general advice", "general strategies"}
)
_NAMES_SLUG = re.compile(r"\W*(?:section\W+)?[A-Za-z]{2,6}(?:-\d+)?\W*[:\]\-|)]", re.IGNORECASE)
_FILLERS = frozenset({"and", "the", "to", "of", "for", "in", "a", "an", "or", "how", "section", "them", "use"})


def slug_for(title: str, taken: Collection[str]) -> str:
    """A free slug for `title`: the original's, else its initials, its first letters, or those with another ending."""
    words = re.findall(r"[a-z]+", title.casefold().replace("&", " and "))
    initials = "".join(word[0] for word in words)[:6]
    letters = "".join(words)
    for slug in (_ORIGINAL.get(" ".join(words), ""), initials, letters[:3], letters[:4], letters[:6]):
        if SLUG.fullmatch(slug) and slug not in taken:
            return slug
    stem = (letters or "sec")[:4].ljust(2, "x")
    endings = (a + b for a in "abcdefghijklmnopqrstuvwxyz" for b in "abcdefghijklmnopqrstuvwxyz")
    free = next((stem + ending for ending in endings if stem + ending not in taken), None)
    if free is None:
        raise PlaybookError(f"section {title!r}: too many sections of such a title")
    return free


def find_section(name: str, sections: Sequence[Section]) -> Section | None:
    """The section that a model means by `name`, None where it is none of `sections`.

    Its slug or title in any spelling (`[str]`, `STR: Strategies`, `strategies_and_hard_rules`), the original release's
    name for it, else the one whose title shares most words with the name.
    """
    if not (words := _words(name)):
        return None
    titles = {" ".join(_words(section.title)): section for section in sections}
    if (section := titles.get(" ".join(words))) is not None:
        return section
    slugs = {section.slug: section for section in sections}
    alone = words[1:] if words[:1] == ["section"] else words
    if alone and (section := slugs.get(alone[0])) is not None and (len(alone) == 1 or _NAMES_SLUG.match(name)):
        return section
    if (section := slugs.get(_ORIGINAL.get(" ".join(words), ""))) is not None:
        return section
    meant = {_stem(word) for word in words} - _FILLERS
    shared = {
        section: len(meant & ({_stem(word) for word in _words(section.title)} | {section.slug})) for section in sections
    }
    best = max(shared.values(), default=0)
    closest = [section for section, count in shared.items() if count == best]
    if not best or 2 * best < len(meant):
        return _rest(sections) if " ".join(words) in _REST_TITLES else None
    return min(closest, key=lambda section: len(section.title))


def section_for(name: str, sections: Sequence[Section]) -> Section:
    """As `find_section`; for a name that is none of them the section for the rest, or a new one if it is a slug."""
    if (section := find_section(name, sections)) is not None:
        return section
    slug = name.strip().strip("[]`*\"'").strip().lower()
    if SLUG.fullmatch(slug) and slug not in _REST_TITLES:
        return Section(slug, slug)
    return _rest(sections) or REST


def _rest(sections: Sequence[Section]) -> Section | None:
    return next((s for s in sections if s.slug == REST.slug or " ".join(_words(s.title)) in _REST_TITLES), None)


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", name.casefold().replace("&", " and "))


def _stem(word: str) -> str:
    return word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word.removesuffix("s")
