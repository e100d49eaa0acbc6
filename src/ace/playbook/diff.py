"""Differences of two playbooks, bullet by bullet."""

from __future__ import annotations

from dataclasses import dataclass

from ace.playbook.bullet import Bullet, QuarantinedBullet
from ace.playbook.playbook import Playbook


@dataclass(frozen=True, slots=True)
class Change:
    """A bullet before and after; the same words with other counters is a retagged one."""

    before: Bullet
    after: Bullet


@dataclass(frozen=True, slots=True)
class PlaybookDiff:
    """The difference from one playbook to another, each part in creation order."""

    added: tuple[Bullet, ...]
    updated: tuple[Change, ...]
    removed: tuple[Bullet, ...]
    retagged: tuple[Change, ...]
    quarantined: tuple[QuarantinedBullet, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.added or self.updated or self.removed or self.retagged or self.quarantined)


def diff(before: Playbook, after: Playbook) -> PlaybookDiff:
    """Compare the bullets of `before` and `after`."""
    quarantined = {bullet.id for bullet in before.quarantined}
    both = [Change(bullet, after.by_id[bullet.id]) for bullet in before.bullets if bullet.id in after.by_id]
    return PlaybookDiff(
        added=tuple(bullet for bullet in after.bullets if bullet.id not in before.by_id),
        updated=tuple(change for change in both if change.before.content != change.after.content),
        removed=tuple(bullet for bullet in before.bullets if bullet.id not in after.by_id),
        retagged=tuple(
            change
            for change in both
            if change.before.content == change.after.content and change.before.counters != change.after.counters
        ),
        quarantined=tuple(bullet for bullet in after.quarantined if bullet.id not in quarantined),
    )
