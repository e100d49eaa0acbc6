"""Dedup: ADDs that only say again what the playbook says already do not get in. No model call is made for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ace.playbook.apply import SkippedOperation, apply
from ace.playbook.delta import Add, Delta, Operation, Tag
from ace.playbook.embed import Embedder, NgramEmbedder
from ace.playbook.likeness import Signature, adds_a_word, signature
from ace.playbook.playbook import Playbook

if TYPE_CHECKING:
    from ace.playbook.embed import Vectors


@dataclass(frozen=True, slots=True)
class Deduped:
    """The delta without the duplicates, and those with the bullet or ADD that each repeats, by id or by its words."""

    delta: Delta
    dropped: tuple[SkippedOperation, ...]
    repeats: tuple[str, ...] = ()


def dedup_delta(playbook: Playbook, delta: Delta, embedder: Embedder, threshold: float) -> Deduped:
    """Drop every ADD whose vector is within `threshold` (cosine) of a live bullet or an earlier ADD, and says the same.

    Likeness is not enough: `ace.playbook.likeness` says what must be equal besides. Bullets are compared as the rest
    of the delta leaves them, so that the new wording of a bullet that it removes gets in.
    """
    additions = [operation for operation in delta.operations if isinstance(operation, Add)]
    if not additions:
        return Deduped(delta, ())
    rivals = _Rivals(playbook, delta, additions, embedder, threshold)
    kept: list[Operation] = []
    dropped: list[SkippedOperation] = []
    repeats: list[str] = []
    for operation in delta.operations:
        if isinstance(operation, Add) and (same := rivals.same_as(operation)):
            dropped.append(SkippedOperation(operation, f"duplicate of {same}"))
            repeats.append(same)
        else:
            kept.append(operation)
    return Deduped(Delta(tuple(kept)), tuple(dropped), tuple(repeats))


@dataclass(slots=True)
class _Group:
    """Texts of one signature: live bullets, then ADDs. The first `size` of them count."""

    names: list[str]
    texts: list[str]
    vectors: Vectors
    size: int


class _Rivals:
    """What each ADD of a delta may repeat. Every text is embedded once, in one call."""

    def __init__(
        self, playbook: Playbook, delta: Delta, additions: Sequence[Add], embedder: Embedder, threshold: float
    ) -> None:
        self._threshold = threshold
        self._by_spelling = isinstance(embedder, NgramEmbedder)
        rest = Delta(tuple(operation for operation in delta.operations if not isinstance(operation, Add | Tag)))
        live = apply(playbook, rest).playbook if rest.operations else playbook
        members: dict[Signature, list[tuple[str, str]]] = {
            key: [(bullet.id, bullet.content) for bullet in live.by_signature.get(key, ())]
            for key in (signature(addition.content) for addition in additions)
        }
        sizes = {key: len(found) for key, found in members.items()}
        for addition in additions:
            name = f"another ADD of this batch ({addition.content[:40]!r})"
            members[signature(addition.content)].append((name, addition.content))
        texts = list(dict.fromkeys(text for found in members.values() for _, text in found if len(found) > 1))
        vectors = embedder.embed(texts)
        places = {text: place for place, text in enumerate(texts)}
        self._groups = {
            key: _Group(
                [name for name, _ in found],
                [text for _, text in found],
                vectors[[places[text] for _, text in found]],
                sizes[key],
            )
            for key, found in members.items()
            if len(found) > 1
        }
        self._next: dict[Signature, int] = defaultdict(int, sizes)

    def same_as(self, addition: Add) -> str | None:
        """The name of the likest text that says what `addition` says. To be asked once for each ADD, in order."""
        key = signature(addition.content)
        group = self._groups.get(key)
        if group is None:
            return None
        place = self._next[key]
        self._next[key] += 1
        likeness = group.vectors[: group.size] @ group.vectors[place]
        for best in map(int, (-likeness).argsort(kind="stable")):
            if likeness[best] < self._threshold:
                break
            if not self._by_spelling or not adds_a_word(addition.content, group.texts[best]):
                return group.names[best]
        group.names[group.size], group.texts[group.size] = group.names[place], group.texts[place]
        group.vectors[group.size] = group.vectors[place]
        group.size += 1
        return None
