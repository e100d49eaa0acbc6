"""Fair shares of one engine's slots."""

from __future__ import annotations

import asyncio
import math
from collections import Counter

import pytest

pytestmark = pytest.mark.ray


def served(size: float, wanted: dict[str, int], weights: dict[str, float], answers: int) -> Counter[str]:
    """Who had the first `answers` answers where clients, one after the other, ask for so many at once."""
    from ace.inference.providers.ray.fair_slots import FairSlots

    async def main() -> Counter[str]:
        slots, order = FairSlots(size), list[str]()

        async def ask(client: str) -> None:
            async with slots.slot(client, weights[client]):
                await asyncio.sleep(0.001)
                order.append(client)

        async with asyncio.TaskGroup() as tasks:
            for client, number in wanted.items():
                for _ in range(number):
                    tasks.create_task(ask(client))
        assert Counter(order) == wanted
        return Counter(order[:answers])

    return asyncio.run(main())


def test_a_run_that_came_first_does_not_keep_the_others_waiting() -> None:
    assert served(4, {"first": 400, "second": 40}, {"first": 1, "second": 1}, 84) == {"first": 44, "second": 40}


def test_slots_are_in_proportion_to_the_weights() -> None:
    assert served(4, {"a": 400, "b": 400}, {"a": 3, "b": 1}, 204) == pytest.approx({"a": 154, "b": 50}, abs=2)


def test_a_run_that_is_alone_has_all_slots() -> None:
    assert served(4, {"a": 8}, {"a": 0.1}, 8) == {"a": 8}
    assert served(math.inf, {"a": 8}, {"a": 1}, 8) == {"a": 8}


def test_a_request_that_is_given_up_while_it_waits_takes_no_slot() -> None:
    from ace.inference.providers.ray.fair_slots import FairSlots

    async def main() -> None:
        slots = FairSlots(1)

        async def ask(client: str, done: asyncio.Event) -> None:
            async with slots.slot(client, 1):
                await done.wait()

        done = asyncio.Event()
        first, given_up, turned, last = (asyncio.create_task(ask("a", done)) for _ in range(4))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        done.set()
        first.add_done_callback(lambda _: turned.cancel())  # its turn has come in the same step
        await asyncio.wait([first, given_up, turned, last], timeout=10)
        assert last.done() and not last.cancelled() and given_up.cancelled()

    asyncio.run(main())
