"""The token budget: the rendered playbook never costs more than its limit, whatever a curator says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ace.playbook.apply import apply
from ace.playbook.bullet import Bullet
from ace.playbook.delta import Delta, Remove
from ace.playbook.playbook import Playbook
from ace.playbook.render import LineFormats, render, render_line


@dataclass(frozen=True, slots=True)
class Budgeted:
    """A playbook within its budget, and the removals that brought it there."""

    playbook: Playbook
    delta: Delta
    compacted: bool


def enforce_budget(
    playbook: Playbook, count_tokens: Callable[[str], int], limit: int, formats: LineFormats
) -> Budgeted:
    """Bring the rendered playbook to at most `limit` tokens: first by compaction, then by evicting the weakest bullets.

    The weakest is the one with the lowest helpful minus harmful, then the fewest uses, then the lowest number: new
    bullets have had no chance yet, and go last among equals. The version does not rise: a budget is part of its batch.
    """
    if count_tokens(render(playbook, formats)) <= limit:
        return Budgeted(playbook, Delta(()), False)
    held = playbook.compacted()
    removals: list[Remove] = []
    while held.bullets and (over := count_tokens(render(held, formats)) - limit) > 0:
        victims = _weakest(held, count_tokens, over, formats)
        removals += victims
        held = replace(apply(held, Delta(tuple(victims))).playbook.compacted(), version=playbook.version)
    return Budgeted(held, Delta(tuple(removals)), True)


def _weakest(playbook: Playbook, count_tokens: Callable[[str], int], over: int, formats: LineFormats) -> list[Remove]:
    """Removals that should save `over` tokens, one at the least."""
    lines = {line.id: render_line(line, formats) for line in playbook.prefix}
    removals: list[Remove] = []
    for bullet in sorted(playbook.bullets, key=_evidence):
        if removals and over <= 0:
            break
        over -= count_tokens(lines[bullet.id])
        counters = bullet.counters
        reason = f"over the token budget; helpful {counters.helpful}, harmful {counters.harmful}, uses {counters.uses}"
        removals.append(Remove(bullet.id, reason))
    return removals


def _evidence(bullet: Bullet) -> tuple[int, int, int]:
    counters = bullet.counters
    return counters.helpful - counters.harmful, counters.uses, bullet.number
