"""Choice among several endpoints of one model: by load and weight, past those that fail or ask for time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

FAILURES_TO_OPEN = 3
"""Failures in a row after which an endpoint's circuit opens; one without any connection opens it at once."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""How long a circuit stays open: doubled with every trial that fails."""


_COUNTS = ("answers", "failures", "limited", "hedges", "openings", "seconds")


@dataclass(frozen=True, slots=True)
class EndpointFigures:
    """Counts of the requests to one endpoint. `seconds` are those of its answers, added up.

    `failures` are answers that did not come, `limited` refusals for a rate limit, `hedges` second requests that it got
    because another endpoint was slow, and `openings` the times that its circuit opened.
    """

    address: str
    answers: int = 0
    failures: int = 0
    limited: int = 0
    hedges: int = 0
    openings: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class EndpointState:
    """One endpoint as the balancer sees it. Times are those of the balancer's clock."""

    address: str
    weight: float
    running: int = 0
    failed_in_a_row: int = 0
    opened_until: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    trial: bool = False
    limited_until: float = 0.0
    counts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0.0))

    @property
    def is_open(self) -> bool:
        """True if its circuit is open: a single trial request decides whether it closes."""
        return self.opened_until > 0

    @property
    def figures(self) -> EndpointFigures:
        """Its figures so far."""
        whole = {name: int(value) for name, value in self.counts.items() if name != "seconds"}
        return EndpointFigures(self.address, **whole, seconds=round(self.counts["seconds"], 3))


class Balancer:
    """Chooses the endpoint of each request, and learns from what becomes of it. Not for several threads.

    The endpoint with the fewest running requests for its weight is taken. One whose circuit is open gets the next
    request as its trial when its pause is over; one that asked for time gets none until then.
    """

    def __init__(self, endpoints: Sequence[tuple[str, float]], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.endpoints = tuple(EndpointState(address, weight) for address, weight in endpoints)
        self._clock = clock

    def choose(self, passed_over: Collection[str] = ()) -> EndpointState | None:
        """Return the endpoint for the next request, and count it as running there. None where none may be asked now."""
        now = self._clock()
        able = [
            endpoint
            for endpoint in self.endpoints
            if endpoint.address not in passed_over
            and endpoint.limited_until <= now
            and (not endpoint.is_open or (endpoint.opened_until <= now and not endpoint.trial))
        ]
        if not able:
            return None
        chosen = min(able, key=lambda endpoint: (not endpoint.is_open, (endpoint.running + 1) / endpoint.weight))
        chosen.trial = chosen.is_open
        chosen.running += 1
        return chosen

    def force(self, passed_over: Collection[str] = ()) -> EndpointState | None:
        """Return the endpoint that may be asked first, though it may not be yet. None where all are passed over."""
        left = [endpoint for endpoint in self.endpoints if endpoint.address not in passed_over]
        if not left:
            return None
        chosen = min(left, key=lambda endpoint: max(endpoint.limited_until, endpoint.opened_until))
        chosen.running += 1
        return chosen

    def wait_s(self) -> float:
        """Seconds until an endpoint may be asked again; 0 where one may be asked now, or waits for its trial."""
        now = self._clock()
        return max(0.0, min(max(one.limited_until, one.opened_until) for one in self.endpoints) - now)

    def answered(self, endpoint: EndpointState, seconds: float) -> None:
        """An answer came after so many seconds: the circuit is closed."""
        self.dropped(endpoint)
        endpoint.failed_in_a_row, endpoint.opened_until, endpoint.pause_s = 0, 0.0, FIRST_PAUSE_S
        endpoint.counts["answers"] += 1
        endpoint.counts["seconds"] += seconds

    def failed(self, endpoint: EndpointState, *, unreachable: bool = False) -> None:
        """No answer came. After a few of them, or a trial that failed, the endpoint is left alone for a while."""
        was_trial = endpoint.trial
        self.dropped(endpoint)
        endpoint.counts["failures"] += 1
        endpoint.failed_in_a_row += 1
        if unreachable or was_trial or endpoint.failed_in_a_row >= FAILURES_TO_OPEN:
            if was_trial:
                endpoint.pause_s = min(2 * endpoint.pause_s, LONGEST_PAUSE_S)
            else:
                endpoint.counts["openings"] += not endpoint.is_open
            endpoint.opened_until = self._clock() + endpoint.pause_s

    def limited(self, endpoint: EndpointState, wait_s: float) -> None:
        """The endpoint refused a request and asked for `wait_s` seconds. That is no failure."""
        self.dropped(endpoint)
        endpoint.counts["limited"] += 1
        self.pause(endpoint, wait_s)

    def pause(self, endpoint: EndpointState, wait_s: float) -> None:
        """Ask the endpoint nothing for `wait_s` seconds, as its headers want it."""
        endpoint.limited_until = max(endpoint.limited_until, self._clock() + wait_s)

    def dropped(self, endpoint: EndpointState) -> None:
        """A request ended there that says nothing about the endpoint, such as one that was given up."""
        endpoint.running -= 1
        endpoint.trial = False

    def hedged(self, endpoint: EndpointState) -> None:
        """The endpoint got the second request for an answer."""
        endpoint.counts["hedges"] += 1

    @property
    def figures(self) -> tuple[EndpointFigures, ...]:
        """The figures of all endpoints, in their order."""
        return tuple(endpoint.figures for endpoint in self.endpoints)
