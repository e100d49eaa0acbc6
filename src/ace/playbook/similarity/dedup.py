"""Removal of ADDs that duplicate bullets of the playbook, without a model call."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ace.playbook.apply import SkippedOperation, apply
from ace.playbook.bullet import Bullet
from ace.playbook.delta import Add, Delta, Operation, Tag
from ace.playbook.playbook import Playbook
from ace.playbook.similarity.embedders import Embedder, NgramEmbedder
from ace.playbook.similarity.text_features import Signature, adds_a_word, content_stems, signature, stem_set

if TYPE_CHECKING:
    from ace.playbook.similarity.embedders import Vectors


@dataclass(frozen=True, slots=True)
class Deduped:
    """The delta without the duplicates, and those with the bullet or ADD that each repeats, by id or by its words."""

    delta: Delta
    dropped: tuple[SkippedOperation, ...]
    repeats: tuple[str, ...] = ()


def dedup_delta(playbook: Playbook, delta: Delta, embedder: Embedder, threshold: float) -> Deduped:
    """Drop every ADD whose vector is within `threshold` (cosine) of a live bullet or an earlier ADD, and says the same.

    A close vector is not enough: `similarity.text_features` says what must be equal besides. Bullets are compared as
    the rest of the delta leaves them, so that the new wording of a bullet that it removes gets in.
    """
    additions = [operation for operation in delta.operations if isinstance(operation, Add)]
    if not additions:
        return Deduped(delta, ())
    rivals = _Rivals(playbook, delta, additions, embedder, threshold)
    remaining: list[Operation] = []
    dropped: list[SkippedOperation] = []
    repeats: list[str] = []
    for operation in delta.operations:
        if isinstance(operation, Add) and (same := rivals.same_as(operation)):
            dropped.append(SkippedOperation(operation, f"duplicate of {same}"))
            repeats.append(same)
        else:
            remaining.append(operation)
    return Deduped(Delta(tuple(remaining)), tuple(dropped), tuple(repeats))


@dataclass(slots=True)
class _Group:
    """Texts that an ADD may repeat, what a reason calls them, and their vectors."""

    names: list[str]
    texts: list[str]
    vectors: Vectors


class _Rivals:
    """Texts that each ADD of a delta may repeat. Every text is embedded once, in one call."""

    def __init__(
        self, playbook: Playbook, delta: Delta, additions: Sequence[Add], embedder: Embedder, threshold: float
    ) -> None:
        self._threshold = threshold
        self._by_spelling = isinstance(embedder, NgramEmbedder)
        rest = Delta(tuple(operation for operation in delta.operations if not isinstance(operation, Add | Tag)))
        live = apply(playbook, rest).playbook if rest.operations else playbook
        candidates = {key: _candidates(live, *key) for key in {self._key(addition.content) for addition in additions}}
        same_signature = Counter(signature(addition.content) for addition in additions)
        contents = [
            a.content for a in additions if candidates[self._key(a.content)] or same_signature[signature(a.content)] > 1
        ]
        texts = list(dict.fromkeys([*(bullet.content for same in candidates.values() for bullet in same), *contents]))
        self._vectors = embedder.embed(texts)
        self._places = {text: place for place, text in enumerate(texts)}
        self._live_groups = {
            key: self._group([bullet.id for bullet in same], [bullet.content for bullet in same])
            for key, same in candidates.items()
        }
        self._accepted: dict[Signature, list[str]] = defaultdict(list)

    def same_as(self, addition: Add) -> str | None:
        """The name of the likest text that says what `addition` says. To be asked once for each ADD, in order."""
        text = addition.content
        if text not in self._places:
            return None
        accepted = self._accepted[signature(text)]
        names = [f"another ADD of this batch ({earlier[:40]!r})" for earlier in accepted]
        matches = [
            *self._same(text, self._live_groups[self._key(text)]),
            *self._same(text, self._group(names, accepted)),
        ]
        if not matches:
            accepted.append(text)
        return max(matches, key=lambda one: one[0])[1] if matches else None

    def _same(self, text: str, group: _Group) -> Iterator[tuple[float, str]]:
        """The likest text of `group` that says the same, if any: its likeness and its name."""
        import numpy as np

        # Row by row, unlike a matrix product, so that a likeness does not depend on what stands beside it.
        likeness = np.einsum("ij,j->i", group.vectors, self._vectors[self._places[text]])
        for best in map(int, (-likeness).argsort(kind="stable")):
            if likeness[best] < self._threshold:
                return
            if not self._by_spelling or not adds_a_word(text, group.texts[best]):
                yield float(likeness[best]), group.names[best]
                return

    def _key(self, text: str) -> tuple[Signature, frozenset[str]]:
        """Signature and stems that a live bullet must have to be compared with `text`."""
        return signature(text), content_stems(text) if self._by_spelling else frozenset()

    def _group(self, names: list[str], texts: list[str]) -> _Group:
        return _Group(names, texts, self._vectors[[self._places[text] for text in texts]])


def _candidates(playbook: Playbook, key: Signature, stems: frozenset[str]) -> list[Bullet]:
    """The live bullets with this signature and with words of all these stems, the lowest number first."""
    same = (bullet for bullet in playbook.bullets if signature(bullet.content) == key)
    return sorted((bullet for bullet in same if stems <= stem_set(bullet.content)), key=lambda bullet: bullet.number)
