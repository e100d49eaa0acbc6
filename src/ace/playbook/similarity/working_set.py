"""The working set: the part of a large playbook that a whole epoch's prompts show.

Retrieving bullets for each sample gives every prompt a prefix of its own, and nothing can be shared. A set that is
chosen once, for all questions of an epoch, is shown in creation order like a playbook of its own, so that its prefix is
shared by all calls and only ever grows: bullets that are made later are appended. The playbook itself stays whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ace.playbook.bullet import Bullet
from ace.playbook.delta import Add, Delta, Merge, Operation, Remove, Update
from ace.playbook.playbook import Playbook, PrefixLine
from ace.playbook.render import LineFormats, render_line

if TYPE_CHECKING:
    from ace.playbook.apply import SkippedOperation
    from ace.playbook.similarity.dedup import Deduped
    from ace.playbook.similarity.embedders import Embedder

EVIDENCE = 0.25
"""Weight of a bullet's record beside its similarity to a question; both lie in [-1, 1]."""


@dataclass(frozen=True, slots=True)
class WorkingSet:
    """Bullets that prompts show: those of `ids`, and those whose number is `since` or higher."""

    ids: frozenset[str]
    since: int

    def view(self, playbook: Playbook) -> Playbook:
        """The playbook as far as it is shown. Where `playbook` only appends to its log, so does this."""
        return replace(
            playbook,
            bullets=tuple(bullet for bullet in playbook.bullets if self._shows(bullet.id)),
            prefix=tuple(line for line in playbook.prefix if self._shows(line.id)),
        )

    def _shows(self, identity: str) -> bool:
        return identity in self.ids or int(identity.rpartition("-")[2]) >= self.since


def retrieve(
    playbook: Playbook,
    questions: Sequence[str],
    embedder: Embedder,
    *,
    tokens: int,
    count_tokens: Callable[[str], int],
    formats: LineFormats,
) -> WorkingSet:
    """The best bullets of `playbook` whose lines have at most `tokens` together.

    A bullet is as good as it is like the question that it is likest to, and as it has helped: (helpful - harmful) /
    (helpful + harmful + 2), times `EVIDENCE`. Of equals the earlier is taken. Without questions the record decides.
    """
    likeness = _likeness(playbook.bullets, questions, embedder)
    ranked = sorted(
        range(len(playbook.bullets)),
        key=lambda place: (-likeness[place] - EVIDENCE * _record(playbook.bullets[place]), place),
    )
    ids: set[str] = set()
    left = tokens
    for bullet in (playbook.bullets[place] for place in ranked):
        cost = count_tokens(render_line(PrefixLine("bullet", bullet.id, bullet.content), formats) + "\n")
        if cost <= left:
            ids.add(bullet.id)
            left -= cost
    return WorkingSet(frozenset(ids), playbook.next_number)


def visible_playbook(delta: Delta, playbook: Playbook, visible: Playbook) -> Delta:
    """`delta` without changes of live bullets that are not in `visible`: its author can only have guessed their ids."""

    def is_visible(identity: str) -> bool:
        return identity in visible.by_id or identity not in playbook.by_id

    operations: list[Operation] = []
    for operation in delta.operations:
        match operation:
            case Update() | Remove():
                if is_visible(operation.id):
                    operations.append(operation)
            case Merge():
                operations.append(replace(operation, ids=tuple(filter(is_visible, operation.ids))))
            case _:
                operations.append(operation)
    return Delta(tuple(operations))


def recall(deduped: Deduped, playbook: Playbook, visible: Playbook) -> tuple[Delta, tuple[SkippedOperation, ...]]:
    """The delta and what stays dropped of it, where ADDs repeat bullets that are live and not `visible`.

    Such an ADD takes the place of the bullet that it repeats, which moves to the end of the playbook: prompts then show
    it. To drop it as well would leave the epoch without what was just found to be missing.
    """
    recalled: dict[str, Add] = {}
    dropped = []
    for skipped, same in zip(deduped.dropped, deduped.repeats, strict=True):
        if isinstance(skipped.operation, Add) and same in playbook.by_id and same not in visible.by_id:
            recalled.setdefault(same, skipped.operation)
        else:
            dropped.append(skipped)
    removals = tuple(Remove(identity, "found again outside the working set") for identity in recalled)
    return Delta((*deduped.delta.operations, *removals, *recalled.values())), tuple(dropped)


def _likeness(bullets: Sequence[Bullet], questions: Sequence[str], embedder: Embedder) -> list[float]:
    """The highest cosine of each bullet with any question."""
    if not bullets or not questions:
        return [0.0] * len(bullets)
    question_vectors = embedder.embed(list(dict.fromkeys(questions)))
    vectors = embedder.embed([bullet.content for bullet in bullets])
    return [float((question_vectors @ vector).max()) for vector in vectors]


def _record(bullet: Bullet) -> float:
    counters = bullet.counters
    return (counters.helpful - counters.harmful) / (counters.helpful + counters.harmful + 2)
