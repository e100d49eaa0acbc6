"""The query and the insert of measured credit of bullets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy import Connection, delete, insert, select

from ace.store.records import CreditRecord
from ace.store.schema import credits

_FIELDS = tuple(field.name for field in fields(CreditRecord))


def replace_credit(connection: Connection, run_id: str, records: Sequence[CreditRecord]) -> None:
    """Insert the records, in the place of those of the same measurement."""
    for probe, version, measure in {(each.probe, each.version, each.measure) for each in records}:
        table = credits.c
        same = (table.run_id == run_id, table.probe == probe, table.version == version, table.measure == measure)
        connection.execute(delete(credits).where(*same))
    rows = [{"run_id": run_id, **{name: getattr(each, name) for name in _FIELDS}} for each in records]
    if rows:
        connection.execute(insert(credits), rows)


def credit(connection: Connection, run_id: str, bullet: str | None) -> tuple[CreditRecord, ...]:
    """Read the credit of one bullet, or of all, the newest measurement first."""
    query = select(*(credits.c[name] for name in _FIELDS)).where(credits.c.run_id == run_id)
    if bullet is not None:
        query = query.where(credits.c.bullet == bullet)
    rows = connection.execute(query.order_by(credits.c.measured.desc(), credits.c.probe.desc(), credits.c.bullet))
    return tuple(CreditRecord(**row._mapping) for row in rows)
