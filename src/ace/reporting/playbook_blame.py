"""Who wrote each bullet of a playbook: the batch, its sample and model, or the person, as `git blame` says of lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table

from ace.playbook import Release, Update
from ace.reporting.bullet_credit import credit_text, current_credit
from ace.reporting.text import UNKNOWN, cell, moment
from ace.store import CreditRecord, RunReader


@dataclass(frozen=True, slots=True)
class BlamedBullet:
    """A bullet and where its present text came from; None where that is not known.

    `version` is the one that has the text first, `batch` counts from 0, and `author` is a person. `credit` is the
    newest measurement of the present text.
    """

    id: str
    content: str
    helpful: int
    harmful: int
    version: int | None
    batch: int | None
    sample: str | None
    role: str | None
    model: str | None
    author: str | None
    time: datetime | None
    credit: CreditRecord | None = None


def blame(store: RunReader, run: str, version: int | None = None) -> tuple[BlamedBullet, ...]:
    """Read the bullets of `version` (the newest if None) of the run's playbook, in creation order."""
    playbook = store.playbook(run, version)
    by_batch = {info.batch: info for info in store.playbook_versions(run) if info.author is None}
    edits = {
        operation.id: delta
        for delta in store.deltas(run)
        if delta.author is not None and delta.version <= playbook.version
        for operation in delta.delta.operations
        if isinstance(operation, Update | Release)
    }
    credit = current_credit(store.credit(run), playbook.bullets)
    blamed = []
    for bullet in playbook.bullets:
        source = bullet.updated or bullet.created
        edit = edits.get(bullet.id) if source.role == "person" or source.batch is None else None
        info = edit or (by_batch.get(source.batch) if source.run in (None, run) else None)
        blamed.append(
            BlamedBullet(
                bullet.id,
                bullet.content,
                bullet.counters.helpful,
                bullet.counters.harmful,
                info.version if info else None,
                source.batch,
                source.sample,
                source.role,
                source.model,
                edit.author if edit else None,
                info.created if info else None,
                credit.get(bullet.id),
            )
        )
    return tuple(blamed)


def blame_table(bullets: Sequence[BlamedBullet]) -> RenderableType:
    """One line a bullet."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("id", "version", "by", "from", "time"):
        table.add_column(name, no_wrap=name in ("id", "time"))
    credit = {bullet.id: bullet.credit for bullet in bullets if bullet.credit is not None}
    if credit:
        table.add_column("credit, points", justify="right", no_wrap=True)
    table.add_column("bullet", ratio=1)
    for bullet in bullets:
        place = UNKNOWN if bullet.batch is None else f"batch {bullet.batch + 1}"
        table.add_row(
            cell(bullet.id),
            UNKNOWN if bullet.version is None else f"v{bullet.version}",
            cell(bullet.author or place),
            cell(bullet.sample or UNKNOWN, limit=40),
            moment(bullet.time),
            *((credit_text(credit, bullet.id),) if credit else ()),
            cell(bullet.content),
        )
    return table
