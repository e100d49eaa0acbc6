"""Division of wall-clock time among the roles whose calls run."""

from __future__ import annotations

import time
from collections import Counter

from ace.inference import Backend
from ace.inference.wrappers.wrapper import WrapperBackend
from ace.types import Completion, Request


class RoleClock:
    """Divide each moment among the calls that are under way in it.

    So the seconds of all roles add up to the time in which any call was, however many run at once.
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._since = 0.0

    def over(self, role: str, backend: Backend) -> TimedBackend:
        """`backend`, with the time of its calls written down under `role`."""
        return TimedBackend(self, role, backend)

    def change(self, role: str, by: int) -> None:
        """One call of `role` more (1) or fewer (-1) is under way from now on."""
        now = time.perf_counter()
        total = self._under_way.total()
        for name, count in self._under_way.items():
            self.seconds[name] += (now - self._since) * count / total if total else 0.0  # type: ignore[assignment]
        self._since = now
        self._under_way[role] += by


class TimedBackend(WrapperBackend):
    """A backend whose calls a `RoleClock` sees."""

    def __init__(self, clock: RoleClock, role: str, backend: Backend) -> None:
        super().__init__(backend)
        self._clock, self._role = clock, role

    async def complete(self, request: Request) -> Completion:
        self._clock.change(self._role, 1)
        try:
            return await super().complete(request)
        finally:
            self._clock.change(self._role, -1)
