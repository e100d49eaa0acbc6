"""Merging of the deltas of a batch, all made on one snapshot, into one.

The rules, where proposals meet (earlier means earlier in the given order, which is sample order):

- Tags never conflict: all of them count, and they come first.
- Two UPDATEs of one bullet: the wording proposed most often stands, the earliest of them on a tie.
- MERGEs that share a bullet: the earlier takes it; the later goes on with the rest, if that is two bullets or more.
- UPDATE or REMOVE of a bullet that a MERGE takes: dropped, the merged wording stands.
- REMOVE against UPDATE: the UPDATE stands, because knowledge is easier to remove later than to find again.
- Duplicate ADDs (the same words, white space aside) and repeated REMOVEs: the earlier stands.
- QUARANTINEs conflict with nothing, and come last: of two of one content `apply` takes the first.
- What could not be carried out takes nothing from others: empty contents; and, where the snapshot is given, MERGEs of
  fewer than two live bullets and UPDATEs that change nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ace.playbook.apply import SkippedOperation
from ace.playbook.bullet import normalize_whitespace
from ace.playbook.delta import Add, Delta, Merge, Operation, Quarantine, Release, Remove, Tag, Update, Withhold
from ace.playbook.playbook import Playbook


@dataclass(frozen=True, slots=True)
class Merged:
    """One delta of many, and the operations that lost a conflict, with the reason."""

    delta: Delta
    dropped: tuple[SkippedOperation, ...]


def merge_deltas(deltas: Iterable[Delta], snapshot: Playbook | None = None) -> Delta:
    """The delta of `resolve_deltas`, without what was dropped."""
    return resolve_deltas(deltas, snapshot).delta


def resolve_deltas(deltas: Iterable[Delta], snapshot: Playbook | None = None) -> Merged:
    """One delta: tags, updates, merges, removals, additions, quarantines, what people did, each in the given order.

    Idempotent on its own result. `snapshot` is the playbook that all of them were proposed against.
    """
    work = _Work(snapshot)
    operations = [o for delta in deltas for o in delta.operations if isinstance(o, Tag) or work.says_something(o)]
    merges = work.merges([o for o in operations if isinstance(o, Merge)])
    updates = work.updates([o for o in operations if isinstance(o, Update)])
    removals = work.removals([o for o in operations if isinstance(o, Remove)])
    additions = work.additions([o for o in operations if isinstance(o, Add)])
    tags = [o for o in operations if isinstance(o, Tag)]
    rest = [
        *(o for o in operations if isinstance(o, Quarantine)),
        *(o for o in operations if isinstance(o, Withhold | Release)),
    ]
    return Merged(Delta((*tags, *updates, *merges, *removals, *additions, *rest)), tuple(work.dropped))


@dataclass(slots=True)
class _Work:
    snapshot: Playbook | None
    taken: dict[str, str] = field(default_factory=dict)
    """Bullets that an operation has claimed, and by what."""
    dropped: list[SkippedOperation] = field(default_factory=list)

    def drop(self, operation: Operation, reason: str) -> None:
        self.dropped.append(SkippedOperation(operation, reason))

    def says_something(self, operation: Operation) -> bool:
        if isinstance(operation, Add | Update | Merge) and not operation.content.strip():
            self.drop(operation, "the content is empty")
            return False
        if isinstance(operation, Update) and self.snapshot:
            bullet = self.snapshot.get(operation.id)
            if bullet and normalize_whitespace(bullet.content) == normalize_whitespace(operation.content):
                self.drop(operation, f"{bullet.id} says the same")
                return False
        return True

    def merges(self, proposed: Sequence[Merge]) -> list[Merge]:
        remaining = []
        for merge in proposed:
            ids = dict.fromkeys(merge.ids)
            live = [identity for identity in ids if self.snapshot is None or self.snapshot.get(identity)]
            free = tuple(identity for identity in live if identity not in self.taken)
            if len(free) > 1:
                self.taken.update(dict.fromkeys(free, "a MERGE"))
                remaining.append(replace(merge, ids=free) if free != merge.ids else merge)
            elif len(live) > 1:
                self.drop(merge, "an earlier MERGE took its bullets")
            else:
                self.drop(merge, "a merge needs at least two bullets that are live")
        return remaining

    def updates(self, proposed: Sequence[Update]) -> list[Update]:
        rivals: dict[str, dict[str, list[Update]]] = defaultdict(lambda: defaultdict(list))
        for update in proposed:
            if by := self.taken.get(update.id):
                self.drop(update, f"{by} of {update.id} stands")
            else:
                rivals[update.id][normalize_whitespace(update.content)].append(update)
        remaining = []
        for identity, wordings in rivals.items():
            chosen = max(wordings.values(), key=len).pop(0)
            remaining.append(chosen)
            for update in (update for same in wordings.values() for update in same):
                self.drop(update, f"another UPDATE of {identity} stands")
            self.taken[identity] = "an UPDATE"
        return remaining

    def removals(self, proposed: Sequence[Remove]) -> list[Remove]:
        remaining = []
        for removal in proposed:
            if by := self.taken.get(removal.id):
                self.drop(removal, f"{by} of {removal.id} stands")
            else:
                self.taken[removal.id] = "an earlier REMOVE"
                remaining.append(removal)
        return remaining

    def additions(self, proposed: Sequence[Add]) -> list[Add]:
        first_by_text: dict[str, Add] = {}
        for addition in proposed:
            key = normalize_whitespace(addition.content)
            if key in first_by_text:
                self.drop(addition, f"an earlier ADD says the same ({addition.content[:40]!r})")
            else:
                first_by_text[key] = addition
        return list(first_by_text.values())
