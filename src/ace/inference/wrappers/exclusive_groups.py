"""Scheduling of groups of requests that may not run beside each other."""

from __future__ import annotations

from typing import Generic, TypeVar

Group = TypeVar("Group")
Item = TypeVar("Item")


class ExclusiveGroups(Generic[Group, Item]):
    """Lets the items of one group run at a time, all of them; items of other groups wait.

    While no other group waits, any number of items may join the current group. Once one waits, `most` more may join.
    When nothing runs any more, the group that has waited longest becomes the current one, with all its items. So an
    item waits for each other group once at most, and something runs whenever something waits.
    """

    def __init__(self, most: int) -> None:
        self._most = self._may_join = most
        self._current: Group | None = None
        self._running: set[Item] = set()
        self._waiting: dict[Group, dict[Item, None]] = {}  # groups and items in the order of their arrival

    @property
    def current(self) -> Group | None:
        """The group that runs, or ran last; None before the first."""
        return self._current

    def add(self, group: Group, item: Item) -> tuple[Item, ...]:
        """Add an item to `group`, and return the items to start now: this one, or none."""
        if group == self._current and self._may_join > 0:
            self._may_join -= bool(self._waiting)
            self._running.add(item)
            return (item,)
        self._waiting.setdefault(group, {})[item] = None
        return self._next()

    def remove(self, *items: Item) -> tuple[Item, ...]:
        """Remove items that are done or cancelled, and return the items to start now, in the order of their arrival."""
        self._running.difference_update(items)
        for group, waiting in tuple(self._waiting.items()):
            for item in items:
                waiting.pop(item, None)
            if not waiting:
                del self._waiting[group]
        return self._next()

    def _next(self) -> tuple[Item, ...]:
        alone = self._waiting.keys() == {self._current}
        if not self._waiting or (self._running and not alone):
            return ()
        self._current = next(iter(self._waiting))
        self._may_join = self._most
        started = tuple(self._waiting.pop(self._current))
        self._running.update(started)
        return started
