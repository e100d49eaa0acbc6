"""Engines that sleep by turns, with engines that are written here: one is awake, and nobody is cut off or forgotten."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.errors import EngineDeadError
from ace.inference.providers.vllm.engine_thread import SteppingThread
from ace.inference.providers.vllm.hosted_engine import Asked, Finished, HostedEngine, ResponseHandle
from ace.inference.providers.vllm.sleep_scheduler import SleepScheduler


class SleepingEngine:
    """Answers a request after as many steps as its `params` say. Works only while it is awake, and says when it is."""

    awake: set[str]

    def __init__(self, name: str, awake: set[str], log: list[str]) -> None:
        self.name, self.awake, self.log = name, awake, log
        awake.add(name)
        self.left: dict[str, int] = {}
        self.broken = ""
        self.engine_core = SimpleNamespace(shutdown=lambda: self.awake.discard(name))

    def add_request(self, request_id: str, prompt: Any, params: int, **_: Any) -> None:
        assert self.awake == {self.name}
        self.left[request_id] = params

    def abort_request(self, request_ids: list[str]) -> None:
        for request_id in request_ids:
            del self.left[request_id]

    def step(self) -> list[Any]:
        assert self.awake == {self.name}, "only one has the device"
        if self.broken == "step":
            raise RuntimeError("the device is gone")
        self.left = {key: left - 1 for key, left in self.left.items()}
        done = [key for key, left in self.left.items() if left <= 0]
        for key in done:
            del self.left[key]
        return [SimpleNamespace(request_id=key, finished=True) for key in done]

    def sleep(self, *, level: int) -> None:
        assert level == 1 and not self.left, "what runs is not cut off"
        self.awake.remove(self.name)
        self.log.append(f"{self.name} sleeps")

    def wake_up(self) -> None:
        if self.broken == "wake":
            raise RuntimeError("out of memory")
        assert not self.awake
        self.awake.add(self.name)
        self.log.append(f"{self.name} wakes")


class Place:
    """A stepping thread with engines that sleep."""

    def __init__(self) -> None:
        self.thread = SteppingThread.lease()
        self.awake: set[str] = set()
        self.log: list[str] = []
        self.residents: dict[str, HostedEngine] = {}

    def starting(self, name: str) -> Future[SleepingEngine]:
        def start() -> SleepingEngine:
            assert not self.awake, "an engine starts on an empty device"
            engine = SleepingEngine(name, self.awake, self.log)
            self.residents[name] = resident = HostedEngine(engine, name, rota=self.thread.rota)
            self.thread.adopt(resident)
            resident.sleep()
            return engine

        return self.thread.call_in_turn(start)

    async def ask(self, name: str, request_id: str, steps: int = 3) -> Finished:
        loop = asyncio.get_running_loop()
        ticket = ResponseHandle(loop, loop.create_future())
        resident = self.residents[name]
        self.thread.post(lambda: resident.add(Asked(request_id, [1], steps, ticket)))
        try:
            return await ticket.future
        except asyncio.CancelledError:
            self.thread.post(lambda: resident.abort(request_id))
            raise

    def drop(self, name: str) -> None:
        self.thread.call(lambda: self.thread.drop(self.residents[name])).result()

    def close(self) -> None:
        for name in self.residents:
            self.drop(name)
        self.thread.release()
        assert not [thread for thread in threading.enumerate() if thread.name == "ace-vllm-stepping"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.booleans()), max_size=16))
def test_everyone_is_answered_by_one_engine_at_a_time(asked: list[tuple[str, int, bool]]) -> None:
    place = Place()
    for name in "abc":
        place.starting(name).result()

    async def play() -> None:
        tasks = [
            asyncio.create_task(place.ask(name, f"r{number}", steps)) for number, (name, steps, _) in enumerate(asked)
        ]
        await asyncio.sleep(0)
        given_up = [task for task, (_, _, gives_up) in zip(tasks, asked, strict=True) if gives_up]
        for task in given_up:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for task, answer in zip(tasks, answers, strict=True):
            assert isinstance(answer, Finished) or (task in given_up and isinstance(answer, asyncio.CancelledError))

    asyncio.run(play())
    place.close()


def test_an_engine_stays_awake_until_another_is_asked() -> None:
    place = Place()
    for name in "ab":
        place.starting(name).result()

    async def play() -> None:
        place.log.clear()
        for number, name in enumerate("aabba"):
            await place.ask(name, f"r{number}")

    asyncio.run(play())
    assert place.log == ["a wakes", "a sleeps", "b wakes", "b sleeps", "a wakes"]
    place.close()


def test_an_engine_starts_when_the_one_that_is_awake_has_answered() -> None:
    place = Place()
    place.starting("a").result()

    async def play() -> None:
        first = asyncio.create_task(place.ask("a", "first", 50))
        while "a" not in place.awake:
            await asyncio.sleep(0.001)
        starting = asyncio.wrap_future(place.starting("b"))
        later = asyncio.create_task(place.ask("a", "later"))
        await asyncio.gather(first, starting, later)
        assert (await place.ask("b", "b")).output.finished

    asyncio.run(play())
    place.close()


@pytest.mark.parametrize("how", ["step", "wake"])
def test_a_dead_engine_keeps_the_device_until_it_is_closed(how: str) -> None:
    place = Place()
    dying = place.starting("a").result()
    place.starting("b").result()

    async def play() -> None:
        dying.broken = how
        asked = [asyncio.create_task(place.ask("a", f"a{number}")) for number in range(2)]
        waits = asyncio.create_task(place.ask("b", "b"))
        deaths = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(death, EngineDeadError) for death in deaths)
        place.thread.call(lambda: None).result()
        assert not waits.done(), "its memory is not free yet"
        place.drop("a")
        assert (await waits).output.finished

    asyncio.run(play())
    place.close()


def test_a_start_that_fails_or_is_given_up_leaves_the_turn() -> None:
    place = Place()

    def fail() -> None:
        raise RuntimeError("no such model")

    place.starting("a").result()
    with pytest.raises(RuntimeError, match="no such model"):
        place.thread.call_in_turn(fail).result()
    given_up: Future[None] = place.thread.call_in_turn(fail)
    given_up.cancel()
    assert asyncio.run(place.ask("a", "after")).output.finished
    place.close()


def test_the_last_to_begin_is_not_asked_to_sleep_for_itself() -> None:
    log: list[str] = []

    class Logged:
        def sleep(self) -> None:
            log.append("sleeps")

        def wake(self) -> None:
            log.append("wakes")

    rota, one = SleepScheduler(), Logged()
    begun: list[int] = []
    first, second = (lambda: begun.append(1)), (lambda: begun.append(2))
    rota.ask(one, first)
    rota.leave(first)
    rota.ask(one, second)
    assert (log, begun) == (["wakes"], [1, 2])
