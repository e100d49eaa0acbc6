"""Combination of playbooks that have grown apart, against a common base."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ace.playbook.apply import SkippedOperation, apply
from ace.playbook.bullet import Bullet, Counters, normalize_whitespace
from ace.playbook.delta import Add, Delta, Operation, Remove, Update
from ace.playbook.merge import resolve_deltas
from ace.playbook.playbook import Playbook, Section
from ace.playbook.similarity.dedup import dedup_delta
from ace.playbook.similarity.embedders import Embedder


@dataclass(frozen=True, slots=True)
class CombinedPlaybook:
    """The combined playbook. `conflicts` lost against another playbook's change, `duplicates` said the same."""

    playbook: Playbook
    conflicts: tuple[SkippedOperation, ...]
    duplicates: tuple[SkippedOperation, ...]


def combine_playbooks(
    playbooks: Sequence[Playbook], *, base: Playbook | None, embedder: Embedder, threshold: float
) -> CombinedPlaybook:
    """Combine `playbooks` in the given order; the result depends on nothing else.

    `base` is the version from which all of them grew: ids that it has mean the same bullet everywhere, and removals
    count. Without it, equal ids mean nothing, and bullets are matched by their words alone. The rules for conflicts are
    those of `ace.playbook.merge`; a new bullet within `threshold` (cosine) of another one is a duplicate. Counters are
    what the base has and what each playbook added. Quarantined bullets are left out.
    """
    start = base if base is not None else Playbook.empty(())
    start = replace(start, sections=_sections(start, playbooks))
    resolved = resolve_deltas([_changes(start, playbook) for playbook in playbooks], start)
    deduped = dedup_delta(start, resolved.delta, embedder, threshold)
    applied = apply(start, deduped.delta)
    identical = tuple(drop for drop in resolved.dropped if isinstance(drop.operation, Add))
    conflicts = tuple(drop for drop in resolved.dropped if not isinstance(drop.operation, Add))
    combined = replace(applied.playbook, bullets=tuple(_counted(start, playbooks, applied.playbook)))
    return CombinedPlaybook(combined.compacted(), (*conflicts, *applied.skipped), (*identical, *deduped.dropped))


def _sections(start: Playbook, playbooks: Sequence[Playbook]) -> tuple[Section, ...]:
    """All sections by slug; the first title stands."""
    sections: dict[str, Section] = {}
    for playbook in (start, *playbooks):
        for section in playbook.sections:
            sections.setdefault(section.slug, section)
    return tuple(sections.values())


def _changes(base: Playbook, playbook: Playbook) -> Delta:
    """The delta from `base` to `playbook`."""
    operations: list[Operation] = []
    for bullet in playbook.bullets:
        before = base.get(bullet.id)
        if before is None:
            operations.append(Add(bullet.section, bullet.content, provenance=bullet.created))
        elif before.content != bullet.content:
            operations.append(Update(bullet.id, bullet.content, provenance=bullet.updated or bullet.created))
    operations += [Remove(bullet.id) for bullet in base.bullets if playbook.get(bullet.id) is None]
    return Delta(tuple(operations))


def _counted(base: Playbook, playbooks: Sequence[Playbook], combined: Playbook) -> Iterator[Bullet]:
    """The bullets of `combined` with the counters of their sources."""
    added: dict[str, Counters] = defaultdict(Counters)
    for playbook in playbooks:
        for bullet in playbook.bullets:
            before = base.get(bullet.id)
            key = normalize_whitespace(bullet.content) if before is None else bullet.id
            added[key] += bullet.counters if before is None else _gained(before.counters, bullet.counters)
    for bullet in combined.bullets:
        before = base.get(bullet.id)
        if before is None:
            yield replace(bullet, counters=added[normalize_whitespace(bullet.content)])
        else:
            yield replace(bullet, counters=before.counters + added[bullet.id])


def _gained(before: Counters, after: Counters) -> Counters:
    """The counts since `before`; a counter never falls."""
    return Counters(
        max(0, after.helpful - before.helpful),
        max(0, after.harmful - before.harmful),
        max(0, after.neutral - before.neutral),
        max(0, after.uses - before.uses),
    )
