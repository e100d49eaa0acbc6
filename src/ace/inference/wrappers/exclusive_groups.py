"""Scheduling of groups of requests that exclude each other."""

from __future__ import annotations

from typing import Generic, TypeVar

Party = TypeVar("Party")
Item = TypeVar("Item")


class ExclusiveGroups(Generic[Party, Item]):
    """At any time the items of one party run, as many as it has; other parties' items wait.

    The party whose turn it is keeps it while nobody else waits. From the moment that somebody does, `most` further
    items of it may join; then it drains. When nothing runs any more, the party that has waited longest has the turn,
    with all that it has waiting. So an item waits for one turn of each other party at the most, and something runs
    whenever something waits.
    """

    def __init__(self, most: int) -> None:
        self._most = self._more = most
        self._current: Party | None = None
        self._running: set[Item] = set()
        self._waiting: dict[Party, dict[Item, None]] = {}  # parties and items in the order in which they came

    @property
    def current(self) -> Party | None:
        """The party that has the turn, also while it has nothing to do; None before the first."""
        return self._current

    def ask(self, party: Party, item: Item) -> tuple[Item, ...]:
        """`item` is to run. The items that may start now: itself, or none."""
        if party == self._current and self._more > 0:
            self._more -= bool(self._waiting)
            self._running.add(item)
            return (item,)
        self._waiting.setdefault(party, {})[item] = None
        return self._next()

    def leave(self, *items: Item) -> tuple[Item, ...]:
        """`items` have run, or are not to any more. The items that may start now, in the order in which they came."""
        self._running.difference_update(items)
        for party, waiting in tuple(self._waiting.items()):
            for item in items:
                waiting.pop(item, None)
            if not waiting:
                del self._waiting[party]
        return self._next()

    def _next(self) -> tuple[Item, ...]:
        alone = self._waiting.keys() == {self._current}
        if not self._waiting or (self._running and not alone):
            return ()
        self._current = next(iter(self._waiting))
        self._more = self._most
        started = tuple(self._waiting.pop(self._current))
        self._running.update(started)
        return started
