"""A playbook as a table, and the difference of two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ace.playbook import Bullet, Playbook, PlaybookDiff, QuarantinedBullet
from ace.reporting.bullet_credit import credit_text
from ace.reporting.text import cell
from ace.store import CreditRecord


def playbook_view(playbook: Playbook, credit: Mapping[str, CreditRecord]) -> RenderableType:
    """Bullets under their sections, with their counters and credit; then quarantined bullets with their reasons."""
    others = f", {len(playbook.quarantined)} quarantined" if playbook.quarantined else ""
    parts: list[RenderableType] = [Text(f"version {playbook.version}, {len(playbook)} bullets{others}", style="bold")]
    for section in playbook.sections:
        bullets = [bullet for bullet in playbook.bullets if bullet.section == section.slug]
        if bullets:
            parts += [Text(), cell(section.title, style="bold"), _bullets(bullets, credit)]
    if playbook.quarantined:
        parts += [Text(), Text("Quarantined (in no prompt)", style="bold"), _quarantined(playbook.quarantined)]
    return Group(*parts)


def diff_view(difference: PlaybookDiff) -> RenderableType:
    """Lines for bullets that were added (+), removed (-), reworded (~), retagged (#) and quarantined (!)."""
    if difference.empty:
        return Text("no difference")
    return Group(*_diff_lines(difference))


def _bullets(bullets: list[Bullet], credit: Mapping[str, CreditRecord]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("id", no_wrap=True)
    table.add_column("bullet", ratio=1)
    for name in ("helpful", "harmful", "used", *(("credit, points",) if credit else ())):
        table.add_column(name, justify="right")
    for bullet in bullets:
        counters = bullet.counters
        numbers = map(str, (counters.helpful, counters.harmful, counters.uses))
        effect = (credit_text(credit, bullet.id),) if credit else ()
        table.add_row(cell(bullet.id), cell(bullet.content), *numbers, *effect)
    return table


def _quarantined(bullets: Sequence[QuarantinedBullet]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("id", no_wrap=True)
    table.add_column("bullet", ratio=1)
    table.add_column("reasons", ratio=1)
    for bullet in bullets:
        table.add_row(cell(bullet.id), cell(bullet.content), cell("; ".join(bullet.reasons)))
    return table


def _diff_lines(difference: PlaybookDiff) -> Iterator[Text]:
    for bullet in difference.added:
        yield cell(f"+ [{bullet.id}] {bullet.content}", style="green")
    for bullet in difference.removed:
        yield cell(f"- [{bullet.id}] {bullet.content}", style="red")
    for change in difference.updated:
        yield cell(f"~ [{change.before.id}] {change.before.content}", style="red")
        yield cell(f"~ [{change.after.id}] {change.after.content}", style="green")
    for change in difference.retagged:
        before, after = change.before.counters, change.after.counters
        yield cell(
            f"# [{change.after.id}] helpful {before.helpful} -> {after.helpful}, "
            f"harmful {before.harmful} -> {after.harmful}, used {before.uses} -> {after.uses}",
            style="dim",
        )
    for quarantined in difference.quarantined:
        yield cell(f"! [{quarantined.id}] quarantined: {'; '.join(quarantined.reasons)}", style="yellow")
