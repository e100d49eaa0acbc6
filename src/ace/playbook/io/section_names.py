"""Section slugs for files that only have titles."""

from __future__ import annotations

import re
from collections.abc import Collection

from ace.playbook.bullet import SLUG

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
    return next(stem + ending for ending in endings if stem + ending not in taken)
