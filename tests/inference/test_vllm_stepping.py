"""The stepping thread and its engines, with engines that are written here: no vLLM."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from ace.errors import EngineDeadError, RequestRejectedError
from ace.inference.vllm.resident import Finished, Resident, Ticket
from ace.inference.vllm.stepping import SteppingThread


class CountingEngine:
    """Answers a request after `steps` steps, the way vLLM's LLMEngine does."""

    def __init__(self, steps: int = 3) -> None:
        self._steps = steps
        self.left: dict[str, int] = {}
        self.threads: set[str] = set()
        self.broken = False
        self.engine_core = SimpleNamespace(shutdown=lambda: self.left.clear())

    def add_request(self, request_id: str, prompt: Any, params: Any, *, arrival_time: float) -> None:
        if params == "bad":
            raise ValueError("bad parameters")
        self.left[request_id] = self._steps

    def abort_request(self, request_ids: list[str]) -> None:
        for request_id in request_ids:
            del self.left[request_id]

    def step(self) -> list[Any]:
        self.threads.add(threading.current_thread().name)
        time.sleep(0.001)
        if self.broken:
            raise RuntimeError("the device is gone")
        self.left = {key: left - 1 for key, left in self.left.items()}
        done = [key for key, left in self.left.items() if not left]
        for key in done:
            del self.left[key]
        return [SimpleNamespace(request_id=key, finished=True) for key in done]


async def ask(thread: SteppingThread, resident: Resident, name: str, params: Any = None) -> Finished:
    loop = asyncio.get_running_loop()
    ticket = Ticket(loop, loop.create_future())
    thread.post(lambda: resident.add(name, [1], params, ticket))
    return await ticket.future


def host(engine: CountingEngine) -> tuple[SteppingThread, Resident]:
    thread = SteppingThread.lease()
    resident = Resident(engine, "m")
    thread.call(lambda: thread.adopt(resident)).result()
    return thread, resident


def release(thread: SteppingThread, resident: Resident) -> None:
    thread.call(lambda: thread.drop(resident)).result()
    thread.release()


def stepping_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ace-vllm-stepping"]


def test_two_engines_are_stepped_by_one_thread_that_ends() -> None:
    first, second = CountingEngine(), CountingEngine(steps=5)
    (thread, one), (again, two) = host(first), host(second)
    assert again is thread

    async def both() -> None:
        names = [f"r{i}" for i in range(20)]
        answers = await asyncio.gather(
            *(ask(thread, one, name) for name in names), *(ask(thread, two, name) for name in names)
        )
        assert [answer.output.request_id for answer in answers] == names + names

    asyncio.run(both())
    assert first.threads == second.threads == {"ace-vllm-stepping"}
    release(thread, one)
    assert stepping_threads(), "the second engine still needs it"
    release(thread, two)
    assert not stepping_threads()


def test_a_failing_step_tells_everyone_who_waits_and_everyone_later() -> None:
    engine = CountingEngine()
    engine.broken = True
    thread, resident = host(engine)

    async def fail() -> None:
        answers = await asyncio.gather(*(ask(thread, resident, f"r{i}") for i in range(3)), return_exceptions=True)
        assert all(isinstance(answer, EngineDeadError) for answer in answers)
        assert "the device is gone" in str(answers[0])
        with pytest.raises(EngineDeadError):
            await ask(thread, resident, "later")

    asyncio.run(fail())
    release(thread, resident)


def test_a_refused_request_harms_no_other() -> None:
    thread, resident = host(CountingEngine())

    async def mixed() -> None:
        bad, good = await asyncio.gather(
            ask(thread, resident, "bad", "bad"), ask(thread, resident, "good"), return_exceptions=True
        )
        assert isinstance(bad, RequestRejectedError)
        assert isinstance(good, Finished)

    asyncio.run(mixed())
    release(thread, resident)


def test_an_aborted_request_leaves_the_engine() -> None:
    engine = CountingEngine(steps=10**9)
    thread, resident = host(engine)

    async def give_up() -> None:
        task = asyncio.create_task(ask(thread, resident, "long"))
        while not engine.left:
            await asyncio.sleep(0.001)
        thread.post(lambda: resident.abort("long"))
        while engine.left:
            await asyncio.sleep(0.001)
        assert not resident.busy
        task.cancel()

    asyncio.run(give_up())
    release(thread, resident)


def test_closing_tells_those_who_wait() -> None:
    thread, resident = host(CountingEngine(steps=10**9))

    async def closed() -> None:
        task = asyncio.create_task(ask(thread, resident, "long"))
        await asyncio.sleep(0.01)
        thread.call(lambda: thread.drop(resident)).result()
        with pytest.raises(EngineDeadError, match="closed"):
            await task

    asyncio.run(closed())
    thread.release()


def test_an_error_of_a_call_reaches_its_caller_and_the_thread_lives() -> None:
    thread = SteppingThread.lease()
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 / 0).result()
    assert thread.call(lambda: 7).result() == 7
    thread.release()
    assert not stepping_threads()
