"""The token budget of the rendered playbook, kept by evicting bullets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ace.playbook.bullet import Bullet
from ace.playbook.delta import Delta, Remove
from ace.playbook.playbook import Playbook
from ace.playbook.render import LineFormats, render, render_line

HEADROOM = 0.1
"""The part of the budget that an eviction leaves free. Without it a full playbook would be evicted from, and its whole
prefix computed anew, after every batch that adds a bullet."""


@dataclass(frozen=True, slots=True)
class Budgeted:
    """A playbook within its budget, and the removals that brought it there. `compacted`: its log was written anew."""

    playbook: Playbook
    delta: Delta
    compacted: bool


def enforce_budget(
    playbook: Playbook,
    count_tokens: Callable[[str], int],
    limit: int,
    formats: LineFormats,
    *,
    headroom: float = HEADROOM,
) -> Budgeted:
    """Bring the rendered playbook to at most `limit` tokens: first by compaction, then by evicting the weakest bullets.

    A bullet that is over the limit on its own goes first. Then the weakest is the one with the lowest helpful minus
    harmful, then the fewest uses, then the lowest number: new bullets have had no chance yet, and go last among equals.
    Once it has to evict, it leaves `headroom` of the limit free. The version does not rise: a budget is part of its
    batch. What an empty playbook renders to is not counted.
    """
    if count_tokens(render(playbook, formats)) <= limit:
        return Budgeted(playbook, Delta(()), False)
    trimmed = playbook.compacted()
    costs = {line.id: count_tokens(render_line(line, formats)) for line in trimmed.prefix}
    evicted = [bullet for bullet in trimmed.bullets if costs[bullet.id] > limit]
    trimmed = trimmed.without({bullet.id for bullet in evicted})
    full = count_tokens(render(trimmed, formats)) > limit
    goal = limit - int(limit * headroom) if full else limit
    while trimmed.bullets and (over := count_tokens(render(trimmed, formats)) - goal) > 0:
        weakest = _weakest(trimmed, costs, over)
        evicted += weakest
        trimmed = trimmed.without({bullet.id for bullet in weakest})
    return Budgeted(trimmed, Delta(tuple(_removal(bullet) for bullet in evicted)), True)


def _weakest(playbook: Playbook, costs: Mapping[str, int], over: int) -> list[Bullet]:
    """The bullets that should save `over` tokens, one at the least."""
    weakest: list[Bullet] = []
    for bullet in sorted(playbook.bullets, key=_evidence):
        if over <= 0 and weakest:
            break
        over -= costs[bullet.id]
        weakest.append(bullet)
    return weakest


def _removal(bullet: Bullet) -> Remove:
    counters = bullet.counters
    return Remove(
        bullet.id,
        f"over the token budget; helpful {counters.helpful}, harmful {counters.harmful}, uses {counters.uses}",
    )


def _evidence(bullet: Bullet) -> tuple[int, int, int]:
    counters = bullet.counters
    return counters.helpful - counters.harmful, counters.uses, bullet.number
