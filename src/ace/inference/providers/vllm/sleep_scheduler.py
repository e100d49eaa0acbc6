"""Engines that sleep by turns, so that a device holds the largest of them and not all. On the stepping thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ace.inference.wrappers.exclusive_groups import ExclusiveGroups

MOST_JOINING = 256
"""Requests that may still join an engine's turn while another waits: a switch moves all weights twice."""

Begin = Callable[[], None]


class SleepableEngine(Protocol):
    """An engine that can give the device's memory up for a while. Neither method raises."""

    def sleep(self) -> None:
        """Free the memory; nothing is running."""

    def wake(self) -> None:
        """Have it again."""


class StartingEngine:
    """Holds the turn in which an engine is started. It leaves nothing behind: an engine falls asleep once it is up."""

    def sleep(self) -> None:
        pass

    def wake(self) -> None:
        pass


class SleepScheduler:
    """Whose turn it is. One sleeper is awake at a time, the last one also while there is nothing to do."""

    def __init__(self) -> None:
        self._turns: ExclusiveGroups[SleepableEngine, Begin] = ExclusiveGroups(MOST_JOINING)
        self._awake: SleepableEngine | None = None

    def ask(self, sleeper: SleepableEngine, begin: Begin) -> None:
        """Call `begin` when `sleeper` is awake. It stays so until `begin` has left."""
        self._call(self._turns.ask(sleeper, begin))

    def leave(self, *begun: Begin) -> None:
        """What these began has ended, or is not wanted any more."""
        self._call(self._turns.leave(*begun))

    def _call(self, started: tuple[Begin, ...]) -> None:
        now = self._turns.current
        if started and now is not None and now is not self._awake:
            if self._awake is not None:
                self._awake.sleep()
            self._awake = now
            now.wake()
        for begin in started:
            begin()
