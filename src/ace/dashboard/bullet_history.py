"""The history of one bullet: what made it, every delta that touched it, and the answers that used it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ace.errors import PlaybookError
from ace.playbook import Bullet, Merge, Operation, Playbook, QuarantinedBullet, Release, Remove, Tag, Update, Withhold
from ace.roles import CallRecord
from ace.store import CreditRecord, RunReader

MOST_USES = 50
"""Answers that used a bullet, the newest."""
BulletState = Literal["live", "quarantined", "removed"]


@dataclass(frozen=True, slots=True)
class BulletEvent:
    """An operation that named the bullet, of a batch or of an `author`. `version` is what it led to."""

    batch: int | None
    author: str | None
    created: datetime
    version: int
    operation: Operation


@dataclass(frozen=True, slots=True)
class BulletHistory:
    """`bullet` as it stands, or as it last stood where it was removed.

    `reflections` are the calls that led to it, `uses` the newest answers that named it, `credit` what was measured of
    it, the newest first.
    """

    bullet: Bullet | QuarantinedBullet
    state: BulletState
    events: tuple[BulletEvent, ...]
    reflections: tuple[CallRecord, ...]
    uses: tuple[CallRecord, ...]
    credit: tuple[CreditRecord, ...] = ()


def bullet_history(store: RunReader, run: str, bullet: str) -> BulletHistory:
    """Read the history of `bullet` in `run`. PlaybookError where no version of the run's playbook has it."""
    deltas = store.deltas(run)
    events = tuple(
        BulletEvent(delta.batch, delta.author, delta.created, delta.version, operation)
        for delta in deltas
        for operation in delta.delta.operations
        if _names(operation, bullet)
    )
    match, state = _last_state(store, run, bullet, events)
    reflections, uses = _reflections(store, run, match), _uses(store, run, bullet)
    return BulletHistory(match, state, events, reflections, uses, store.credit(run, bullet))


def _last_state(
    store: RunReader, run: str, bullet: str, events: Sequence[BulletEvent]
) -> tuple[Bullet | QuarantinedBullet, BulletState]:
    """Find the bullet in the current playbook, or in the version before the operation that removed it."""
    current = store.playbook(run, store.current_version(run))
    if match := _find(current, bullet):
        return match, "live" if isinstance(match, Bullet) else "quarantined"
    versions = list(dict.fromkeys(info.version for info in store.playbook_versions(run)))
    removals = [event.version for event in events if isinstance(event.operation, Remove | Merge)]
    before_removals = [versions[versions.index(version) - 1] for version in reversed(removals)]
    for version in dict.fromkeys((*before_removals, *reversed(versions))):
        if match := _find(store.playbook(run, version), bullet):
            return match, "removed"
    raise PlaybookError(f"run {run} has no bullet {bullet!r} in any version of its playbook")


def _find(playbook: Playbook, bullet: str) -> Bullet | QuarantinedBullet | None:
    quarantined = (one for one in playbook.quarantined if one.id == bullet)
    return playbook.get(bullet) or next(quarantined, None)


def _names(operation: Operation, bullet: str) -> bool:
    if isinstance(operation, Merge):
        return bullet in operation.ids
    return isinstance(operation, Update | Remove | Tag | Withhold | Release) and operation.id == bullet


def _reflections(store: RunReader, run: str, bullet: Bullet | QuarantinedBullet) -> tuple[CallRecord, ...]:
    """The reflector's calls on the samples from which the bullet came."""
    origin = bullet.created
    if origin.batch is None or origin.sample is None or origin.run not in (None, run):
        return ()
    samples = set(origin.sample.split(", "))
    calls = store.calls(run, batch=origin.batch)
    return tuple(call for call in calls if call.role == "reflector" and call.sample_id in samples | {origin.sample})


def _uses(store: RunReader, run: str, bullet: str) -> tuple[CallRecord, ...]:
    return store.calls_that_name(run, bullet, MOST_USES)
