"""Section slugs for files that only have titles."""

from __future__ import annotations

import re
from collections.abc import Collection

from ace.playbook.bullet import SLUG


def slug_for(title: str, taken: Collection[str]) -> str:
    """A free slug for `title`: its initials, else its first letters, else those with another ending."""
    words = re.findall(r"[a-z]+", title.casefold())
    initials = "".join(word[0] for word in words)[:6]
    letters = "".join(words)
    for slug in (initials, letters[:3], letters[:4], letters[:6]):
        if SLUG.fullmatch(slug) and slug not in taken:
            return slug
    stem = (letters or "sec")[:4].ljust(2, "x")
    endings = (a + b for a in "abcdefghijklmnopqrstuvwxyz" for b in "abcdefghijklmnopqrstuvwxyz")
    return next(stem + ending for ending in endings if stem + ending not in taken)
