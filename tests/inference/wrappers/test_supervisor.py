"""Engines that die and hang, and what becomes of the requests that were under way.

Real ones are in test_vllm_adapters and test_vllm_sleep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ace.errors import EngineDeadError, ProviderStartError
from ace.inference import ScriptedBackend
from ace.inference.wrappers.supervisor import SupervisedBackend
from ace.types import Completion, Message, Request


class Mortal(ScriptedBackend):
    """Dies of a request that says "poison", and takes all that is under way with it; says nothing to "hush"."""

    def __init__(self) -> None:
        super().__init__(lambda request: request.messages[-1].content.upper())
        self.dead: EngineDeadError | None = None

    async def complete(self, request: Request) -> Completion:
        text = request.messages[-1].content
        if text == "hush":
            await asyncio.sleep(3600)
        for _ in range(3):
            await asyncio.sleep(0.001)
            if text == "poison":
                self.dead = EngineDeadError("device lost")
            if self.dead is not None:
                raise self.dead
        return await super().complete(request)


class Works:
    """Makes engines, and keeps them."""

    def __init__(self, *errors: Exception) -> None:
        self.engines: list[Mortal] = []
        self.errors = list(errors)

    def __call__(self) -> Mortal:
        if self.engines and self.errors:
            raise self.errors.pop(0)
        self.engines.append(Mortal())
        return self.engines[-1]


def ask(text: str) -> Request:
    return Request((Message("user", text),))


def supervised(works: Callable[[], Mortal], *, max_restarts: int = 4, hang_s: float = 60) -> SupervisedBackend:
    return SupervisedBackend(works, max_restarts=max_restarts, hang_s=hang_s, backoff_s=0.001)


async def gather(backend: SupervisedBackend, *texts: str) -> list[str]:
    """What each is answered: a text, or the name of an error."""
    done = await asyncio.gather(*(backend.complete(ask(text)) for text in texts), return_exceptions=True)
    return [answer.text if isinstance(answer, Completion) else type(answer).__name__ for answer in done]


def test_without_a_death_nothing_is_started_again() -> None:
    works = Works()
    backend = supervised(works)
    assert asyncio.run(gather(backend, "a", "b")) == ["A", "B"]
    assert (len(works.engines), backend.restarts) == (1, 0)


@pytest.mark.parametrize("place", [0, 5, 19])
def test_one_poisonous_request_is_refused_and_all_others_are_answered(place: int) -> None:
    works = Works()
    backend = supervised(works)
    texts = [f"q{i}" for i in range(20)]
    texts[place] = "poison"
    answers = asyncio.run(gather(backend, *texts))
    assert answers[place] == "RequestQuarantinedError"
    assert [a for i, a in enumerate(answers) if i != place] == [t.upper() for i, t in enumerate(texts) if i != place]
    assert backend.restarts == 2
    assert [engine.closed for engine in works.engines] == [True, True, False]
    alone = works.engines[1].requests + works.engines[2].requests
    answered = sorted(request.messages[-1].content for request in alone)
    assert answered == sorted(text for text in texts if text != "poison"), "each is asked again once"


def test_suspects_are_asked_one_by_one_while_others_wait() -> None:
    seen: list[int] = []

    class Counting(Mortal):
        under_way = 0

        async def complete(self, request: Request) -> Completion:
            Counting.under_way += 1
            seen.append(Counting.under_way)
            try:
                return await super().complete(request)
            finally:
                Counting.under_way -= 1

    class CountingWorks(Works):
        def __call__(self) -> Mortal:
            self.engines.append(Counting())
            return self.engines[-1]

    async def late(backend: SupervisedBackend) -> str:
        await asyncio.sleep(0.008)
        return (await backend.complete(ask("late"))).text

    async def work(backend: SupervisedBackend) -> None:
        answers, text = await asyncio.gather(gather(backend, "a", "b", "poison", "c"), late(backend))
        assert answers == ["A", "B", "RequestQuarantinedError", "C"]
        assert text == "LATE"

    asyncio.run(work(supervised(CountingWorks())))
    assert max(seen[4:]) == 1


def test_a_death_that_does_not_come_back_costs_nothing() -> None:
    """The engine died once, of something that was not a request."""
    works = Works()
    backend = supervised(works)

    async def work() -> list[str]:
        answers = asyncio.ensure_future(gather(backend, "a", "b"))
        await asyncio.sleep(0)
        works.engines[0].dead = EngineDeadError("device lost")
        return await answers

    assert asyncio.run(work()) == ["A", "B"]
    assert backend.restarts == 1


def test_after_the_last_restart_the_death_is_final() -> None:
    backend = supervised(Works(), max_restarts=1)
    assert asyncio.run(gather(backend, "a", "poison")) in (
        ["A", "EngineDeadError"],
        ["EngineDeadError", "EngineDeadError"],
    )
    assert asyncio.run(gather(backend, "b")) == ["EngineDeadError"]
    assert backend.restarts == 1


def test_an_engine_that_cannot_be_started_again_says_why() -> None:
    backend = supervised(Works(ProviderStartError("no memory")))
    with pytest.raises(EngineDeadError, match="device lost; it could not be started again: no memory"):
        asyncio.run(backend.complete(ask("poison")))


def test_a_hung_engine_is_replaced() -> None:
    works = Works()
    backend = supervised(works, hang_s=0.2)
    assert asyncio.run(gather(backend, "hush")) == ["RequestQuarantinedError"]
    assert backend.restarts == 2


def test_an_engine_that_is_slow_but_alive_is_left_alone() -> None:
    backend = supervised(Works(), hang_s=0.6)

    async def work() -> list[str]:
        silent = asyncio.ensure_future(backend.complete(ask("hush")))
        for _ in range(5):
            await asyncio.sleep(0.15)  # far below hang_s: on a busy machine it takes longer
            await backend.complete(ask("tick"))
        assert not silent.done()
        silent.cancel()
        return await gather(backend, "b")

    assert asyncio.run(work()) == ["B"]
    assert backend.restarts == 0


def test_a_cancelled_call_is_no_death() -> None:
    backend = supervised(Works())

    async def work() -> list[str]:
        call = asyncio.ensure_future(backend.complete(ask("hush")))
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return await gather(backend, "a")

    assert asyncio.run(work()) == ["A"]
    assert backend.restarts == 0


def test_closed_is_closed() -> None:
    works = Works()
    backend = supervised(works)
    asyncio.run(backend.close())
    assert works.engines[0].closed
    with pytest.raises(EngineDeadError):
        asyncio.run(backend.complete(ask("poison")))
    assert backend.restarts == 0
