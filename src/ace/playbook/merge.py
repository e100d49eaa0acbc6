"""Merging the deltas that a batch's samples and curators propose against one snapshot into one.

The rules, where proposals meet (earlier means earlier in the given order, which is sample order):

- Tags never conflict: all of them count, and they come first.
- Two UPDATEs of one bullet: the wording proposed most often stands, the earliest of them on a tie.
- MERGEs that share a bullet: the earlier takes it; the later goes on with the rest, if that is two bullets or more.
- UPDATE or REMOVE of a bullet that a MERGE takes: dropped, the merged wording stands.
- REMOVE against UPDATE: the UPDATE stands, because knowledge is easier to remove later than to find again.
- Duplicate ADDs (the same words, white space and case aside) and repeated REMOVEs: the earlier stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ace.playbook.delta import Add, Delta, Merge, Operation, Remove, Tag, Update


def merge_deltas(deltas: Sequence[Delta]) -> Delta:
    """One delta: tags, updates, merges, removals, additions, each in the given order. Idempotent on its own result."""
    operations = [operation for delta in deltas for operation in delta.operations]
    merges = list(_merges([operation for operation in operations if isinstance(operation, Merge)]))
    taken = {identity for merge in merges for identity in merge.ids}
    updates = list(_updates([o for o in operations if isinstance(o, Update) and o.id not in taken]))
    taken.update(update.id for update in updates)
    removals: dict[str, Remove] = {}
    additions: dict[str, Add] = {}
    for operation in operations:
        if isinstance(operation, Remove) and operation.id not in taken:
            removals.setdefault(operation.id, operation)
        elif isinstance(operation, Add):
            additions.setdefault(_key(operation.content), operation)
    kept: list[Operation] = [operation for operation in operations if isinstance(operation, Tag)]
    kept += updates
    kept += merges
    kept += removals.values()
    kept += additions.values()
    return Delta(tuple(kept))


def _merges(merges: Sequence[Merge]) -> Iterator[Merge]:
    taken: set[str] = set()
    for merge in merges:
        free = tuple(identity for identity in dict.fromkeys(merge.ids) if identity not in taken)
        if len(free) > 1:
            taken.update(free)
            yield replace(merge, ids=free)


def _updates(updates: Sequence[Update]) -> Iterator[Update]:
    for identity in dict.fromkeys(update.id for update in updates):
        rivals = [update for update in updates if update.id == identity]
        votes = Counter(_key(update.content) for update in rivals)
        yield max(rivals, key=lambda update: votes[_key(update.content)])


def _key(content: str) -> str:
    return " ".join(content.split()).casefold()
