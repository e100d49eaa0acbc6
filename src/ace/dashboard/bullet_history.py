"""The history of one bullet: what made it, and every delta that touched it."""

from __future__ import annotations

from dataclasses import dataclass

from ace.errors import PlaybookError
from ace.playbook import Bullet, Merge, Operation, Remove, Tag, Update
from ace.roles import CallRecord
from ace.store import RunReader


@dataclass(frozen=True, slots=True)
class BulletEvent:
    """An operation of a batch that named the bullet. `version` is the playbook version that it led to."""

    batch: int
    version: int
    operation: Operation


@dataclass(frozen=True, slots=True)
class BulletHistory:
    """`bullet` as it stands, or as it last stood where it is `removed`; `reflections` are the calls that led to it."""

    bullet: Bullet
    removed: bool
    events: tuple[BulletEvent, ...]
    reflections: tuple[CallRecord, ...]


def bullet_history(store: RunReader, run: str, bullet: str) -> BulletHistory:
    """Read the history of `bullet` in `run`. PlaybookError where no version of the run's playbook has it."""
    last: Bullet | None = None
    live = False
    for version in store.playbook_versions(run):
        found = store.playbook(run, version.version).get(bullet)
        last, live = found or last, found is not None
    if last is None:
        raise PlaybookError(f"run {run} has no bullet {bullet!r} in any version of its playbook")
    events = tuple(
        BulletEvent(delta.batch, delta.version, operation)
        for delta in store.deltas(run)
        for operation in delta.delta.operations
        if _names(operation, bullet)
    )
    return BulletHistory(last, not live, events, _reflections(store, run, last))


def _names(operation: Operation, bullet: str) -> bool:
    if isinstance(operation, Merge):
        return bullet in operation.ids
    return isinstance(operation, Update | Remove | Tag) and operation.id == bullet


def _reflections(store: RunReader, run: str, bullet: Bullet) -> tuple[CallRecord, ...]:
    """The reflector's calls on the sample from which the bullet came."""
    made = bullet.created
    if made.batch is None or made.sample is None or made.run not in (None, run):
        return ()
    calls = store.calls(run, batch=made.batch)
    return tuple(call for call in calls if call.role == "reflector" and call.sample_id == made.sample)
