"""The measured credit of bullets, as it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ace.playbook import Bullet
from ace.reporting.text import UNKNOWN
from ace.store import CreditRecord


def current_credit(records: Iterable[CreditRecord], bullets: Iterable[Bullet]) -> dict[str, CreditRecord]:
    """The first of `records` of each bullet that measured its present text, by the bullet's id."""
    texts = {bullet.id: bullet.content for bullet in bullets}
    credit: dict[str, CreditRecord] = {}
    for record in records:
        if texts.get(record.bullet) == record.content:
            credit.setdefault(record.bullet, record)
    return credit


def credit_text(credit: Mapping[str, CreditRecord], bullet: str) -> str:
    """The effect of a bullet in points, with its interval."""
    if bullet not in credit:
        return UNKNOWN
    record = credit[bullet]
    return f"{record.effect * 100:+.1f} ({record.low * 100:+.1f} to {record.high * 100:+.1f})"
