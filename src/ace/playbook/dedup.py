"""Dedup: ADDs that only say again what the playbook says already do not get in. No model call is made for it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ace.playbook.apply import SkippedOperation
from ace.playbook.delta import Add, Delta, Operation
from ace.playbook.embed import Embedder
from ace.playbook.playbook import Playbook

SHORT = 12
"""Texts of fewer words are duplicates only if they have the same words: one word makes another rule of them."""

Signature = tuple[tuple[str, ...], tuple[str, ...]]
_WORD = re.compile(r"\w+")
_HARD = re.compile(
    r"""
      (?P<number> \d[\d.,:/%-]* )
    | (?P<quoted> `[^`]+` | "[^"]+" )
    | (?P<name> \b(?: \w+(?:[._]\w+)+ | [A-Z][A-Z0-9]+ | [a-z]+[A-Z]\w* )\b )
    """,
    re.VERBOSE,
)
_TURNS = frozenset(
    {"not", "no", "never", "without", "except", "unless", "cannot", "only", "before", "after", "more", "less"}
)


@dataclass(frozen=True, slots=True)
class Deduped:
    """The delta without the duplicates, and those with the bullet or ADD that each repeats."""

    delta: Delta
    dropped: tuple[SkippedOperation, ...]


def dedup_delta(playbook: Playbook, delta: Delta, embedder: Embedder, threshold: float) -> Deduped:
    """Drop every ADD whose vector is within `threshold` (cosine) of a live bullet or an earlier ADD, and says the same.

    Likeness is not enough: texts whose numbers, names, quotations or negations differ are different rules, however
    alike they read, and short texts must agree in every word. So only texts of one signature are compared at all.
    """
    rivals: dict[Signature, list[tuple[str, str]]] = defaultdict(list)
    if any(isinstance(operation, Add) for operation in delta.operations):
        for bullet in playbook.bullets:
            rivals[signature(bullet.content)].append((bullet.id, bullet.content))
    kept: list[Operation] = []
    dropped: list[SkippedOperation] = []
    for operation in delta.operations:
        if isinstance(operation, Add):
            group = rivals[signature(operation.content)]
            if same := _same(operation.content, group, embedder, threshold):
                dropped.append(SkippedOperation(operation, f"duplicate of {same}"))
                continue
            group.append((f"another ADD of this batch ({operation.content[:40]!r})", operation.content))
        kept.append(operation)
    return Deduped(Delta(tuple(kept)), tuple(dropped))


def signature(text: str) -> Signature:
    """What two texts must share to be one rule: names, numbers and negations, and every word if they are short."""
    words = _WORD.findall(text.casefold().replace("n't", " not"))
    telling = words if len(words) < SHORT else [word for word in words if word in _TURNS]
    hard = (match.group().strip('`".,:/-') for match in _HARD.finditer(text))
    return tuple(sorted(hard)), tuple(sorted(telling))


def _same(text: str, group: Sequence[tuple[str, str]], embedder: Embedder, threshold: float) -> str | None:
    """The name of the likest text in `group` if it is like enough."""
    if not group:
        return None
    vectors = embedder.embed([text, *(content for _, content in group)])
    likeness = vectors[1:] @ vectors[0]
    best = int(likeness.argmax())
    return group[best][0] if likeness[best] >= threshold else None
