"""Finding bullets by what they say, without looking at all of them: for exact repeats, and for dedup.

One index serves every version of a playbook that came of another by a delta. It only grows: a version adds what it says
anew, so that none of them costs time for what it only took over. What it finds for a version is looked up among that
version's live bullets before it counts, so texts of other versions, older or of another branch, do no harm.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Mapping
from threading import Lock

from ace.playbook.bullet import Bullet
from ace.playbook.similarity.text_features import Signature, signature, stem_set

LARGE = 64
"""Up to so many members a group is searched one by one."""


class Index:
    """Texts by their words and by their signatures. Threads may share it.

    A text is looked at when it is first searched for in that way, not when it is added.
    """

    def __init__(self, bullets: Iterable[Bullet]) -> None:
        self._lock = Lock()
        self._texts = [(bullet.id, bullet.content) for bullet in bullets]
        self._repeats: dict[str, list[str]] = {}
        self._read = 0
        self._groups: dict[Signature, _Group] = {}
        self._grouped = 0

    def __len__(self) -> int:
        return len(self._texts)

    def extend(self, bullets: Iterable[Bullet]) -> None:
        """Know what these say as well."""
        with self._lock:
            self._texts.extend((bullet.id, bullet.content) for bullet in bullets)

    def repeats(self, content: str, live: Mapping[str, Bullet]) -> list[Bullet]:
        """The bullets of `live` that say this to the letter, white space aside; the earliest that said so first."""
        key = normalize_whitespace(content)
        with self._lock:
            for identity, text in self._texts[self._read :]:
                self._repeats.setdefault(normalize_whitespace(text), []).append(identity)
            self._read = len(self._texts)
            ids = dict.fromkeys(self._repeats.get(key, ()))
        return [held for identity in ids if (held := live.get(identity)) and normalize_whitespace(held.content) == key]

    def rivals(self, key: Signature, stems: Collection[str], live: Mapping[str, Bullet]) -> list[Bullet]:
        """The bullets of `live` with this signature and words of all these stems, the lowest number first."""
        with self._lock:
            for place in range(self._grouped, len(self._texts)):
                self._groups.setdefault(signature(self._texts[place][1]), _Group()).add(*self._texts[place])
            self._grouped = len(self._texts)
            group = self._groups.get(key)
            known = dict.fromkeys(group.with_stems(stems)) if group else {}
        found = [held for identity, text in known if (held := live.get(identity)) and held.content == text]
        return sorted(found, key=lambda bullet: bullet.number)


class _Group:
    """Texts of one signature, and of many the places of each stem among them: ascending, four bytes each."""

    def __init__(self) -> None:
        self._texts: list[tuple[str, str]] = []
        self._places: dict[str, array[int]] = {}
        self._posted = 0

    def add(self, identity: str, content: str) -> None:
        self._texts.append((identity, content))

    def with_stems(self, stems: Collection[str]) -> list[tuple[str, str]]:
        """Ids and contents that have words of all these stems; of a small group, all."""
        if len(self._texts) <= LARGE or not stems:
            return self._texts
        import numpy as np

        self._post()
        postings = sorted((self._places.get(stem, array("I")) for stem in stems), key=len)
        found = np.array(postings[0], dtype=np.uint32)
        for posting in postings[1:]:
            found = found[np.isin(found, np.array(posting, dtype=np.uint32), assume_unique=True)]
        return [self._texts[place] for place in found.tolist()]

    def _post(self) -> None:
        for place in range(self._posted, len(self._texts)):
            for stem in stem_set(self._texts[place][1]):
                self._places.setdefault(stem, array("I")).append(place)
        self._posted = len(self._texts)


def normalize_whitespace(content: str) -> str:
    """What two contents share that say the same to the letter, white space aside. Case tells codes apart."""
    return " ".join(content.split())
