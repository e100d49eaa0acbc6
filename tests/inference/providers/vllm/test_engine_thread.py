"""The stepping thread and its engines, with engines that are written here: no vLLM."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from ace.errors import EngineDeadError, RequestRejectedError
from ace.inference.providers.vllm.engine_thread import SteppingThread
from ace.inference.providers.vllm.hosted_engine import (
    MOST_JOINING,
    Finished,
    HostedEngine,
    PendingRequest,
    ResponseHandle,
)


class CountingEngine:
    """Answers a request after `steps` steps, the way vLLM's LLMEngine does."""

    def __init__(self, steps: int = 3) -> None:
        self._steps = steps
        self.left: dict[str, int] = {}
        self.lora: dict[str, str | None] = {}
        self.batches: list[set[str | None]] = []
        self.threads: set[str] = set()
        self.broken = False
        self.engine_core = SimpleNamespace(shutdown=lambda: self.left.clear())

    def add_request(self, request_id: str, prompt: Any, params: Any, *, arrival_time: float, lora_request: Any) -> None:
        if params == "bad":
            raise ValueError("bad parameters")
        self.lora[request_id] = lora_request and lora_request.lora_name
        self.left[request_id] = self._steps

    def abort_request(self, request_ids: list[str]) -> None:
        for request_id in request_ids:
            del self.left[request_id]

    def step(self) -> list[Any]:
        self.threads.add(threading.current_thread().name)
        time.sleep(0.001)
        if self.broken:
            raise RuntimeError("the device is gone")
        self.batches.append({self.lora[key] for key in self.left})
        self.left = {key: left - 1 for key, left in self.left.items()}
        done = [key for key, left in self.left.items() if not left]
        for key in done:
            del self.left[key]
        return [SimpleNamespace(request_id=key, finished=True) for key in done]


async def ask(
    thread: SteppingThread, resident: HostedEngine, name: str, params: Any = None, adapter: str | None = None
) -> Finished:
    loop = asyncio.get_running_loop()
    ticket = ResponseHandle(loop, loop.create_future())
    lora = None if adapter is None else SimpleNamespace(lora_name=adapter)
    thread.post(lambda: resident.add(PendingRequest(name, [1], params, ticket, lora)))
    return await ticket.future


def host(engine: CountingEngine, *, mixing: bool = True) -> tuple[SteppingThread, HostedEngine]:
    thread = SteppingThread.lease()
    resident = HostedEngine(engine, "m", mixing=mixing)
    thread.call(lambda: thread.adopt(resident)).result()
    return thread, resident


def release(thread: SteppingThread, resident: HostedEngine) -> None:
    thread.call(lambda: thread.drop(resident)).result()
    thread.release()


def stepping_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ace-vllm-stepping"]


@pytest.mark.slow
def test_two_engines_are_stepped_by_one_thread_that_ends() -> None:
    before = stepping_threads()  # not empty where other tests of this process have an engine
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
    assert stepping_threads() == before


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


@pytest.mark.parametrize("mixing", [True, False])
def test_adapters_are_in_a_batch_together_only_where_the_device_can(mixing: bool) -> None:
    engine = CountingEngine()
    thread, resident = host(engine, mixing=mixing)
    adapters = [None, "a", "b"]

    async def mixed() -> None:
        asked = [ask(thread, resident, f"r{i}", adapter=adapters[i % 3]) for i in range(3 * MOST_JOINING)]
        refused = ask(thread, resident, "refused", "bad", adapter="c")
        *answers, refusal = await asyncio.gather(*asked, refused, return_exceptions=True)
        assert all(isinstance(answer, Finished) for answer in answers)
        assert isinstance(refusal, RequestRejectedError)

    asyncio.run(mixed())
    release(thread, resident)
    assert set().union(*engine.batches) == {None, "a", "b"}
    assert max(map(len, engine.batches)) == (3 if mixing else 1)


@pytest.mark.parametrize("end", ["broken", "dropped"])
def test_those_who_wait_for_their_adapters_turn_hear_of_the_end(end: str) -> None:
    engine = CountingEngine(steps=1_000_000)
    thread, resident = host(engine, mixing=False)

    async def fail() -> None:
        asked = [asyncio.create_task(ask(thread, resident, f"r{i}", adapter=f"{i % 2}")) for i in range(6)]
        await asyncio.sleep(0.01)
        engine.broken = end == "broken"
        if end == "dropped":
            thread.call(lambda: thread.drop(resident)).result()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(answer, EngineDeadError) for answer in answers)

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

    async def release_lease() -> None:
        task = asyncio.create_task(ask(thread, resident, "long"))
        while not engine.left:
            await asyncio.sleep(0.001)
        thread.post(lambda: resident.abort("long"))
        while engine.left:
            await asyncio.sleep(0.001)
        assert not resident.busy
        task.cancel()

    asyncio.run(release_lease())
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
    before = stepping_threads()
    thread = SteppingThread.lease()
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 / 0).result()
    assert thread.call(lambda: 7).result() == 7
    thread.release()
    assert stepping_threads() == before
