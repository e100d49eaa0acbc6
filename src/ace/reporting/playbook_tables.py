"""A playbook as a table, and the difference of two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ace.playbook import Bullet, Playbook, PlaybookDiff, QuarantinedBullet
from ace.reporting.text import cell


def playbook_view(playbook: Playbook) -> RenderableType:
    """Bullets under their sections, with what is known of their worth; then those that no prompt shows, and why."""
    held = f", {len(playbook.quarantined)} quarantined" if playbook.quarantined else ""
    parts: list[RenderableType] = [Text(f"version {playbook.version}, {len(playbook)} bullets{held}", style="bold")]
    for section in playbook.sections:
        bullets = [bullet for bullet in playbook.bullets if bullet.section == section.slug]
        if bullets:
            parts += [Text(), cell(section.title, style="bold"), _bullets(bullets)]
    if playbook.quarantined:
        parts += [Text(), Text("Quarantined (in no prompt)", style="bold"), _quarantined(playbook.quarantined)]
    return Group(*parts)


def diff_view(difference: PlaybookDiff) -> RenderableType:
    """What was added (+), removed (-), reworded (~), retagged (#) and quarantined (!)."""
    if difference.empty:
        return Text("no difference")
    return Group(*_diff_lines(difference))


def _bullets(bullets: list[Bullet]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("id", no_wrap=True)
    table.add_column("bullet", ratio=1)
    for name in ("helpful", "harmful", "used"):
        table.add_column(name, justify="right")
    for bullet in bullets:
        known = bullet.counters
        table.add_row(cell(bullet.id), cell(bullet.content), str(known.helpful), str(known.harmful), str(known.uses))
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
    for held in difference.quarantined:
        yield cell(f"! [{held.id}] quarantined: {'; '.join(held.reasons)}", style="yellow")
