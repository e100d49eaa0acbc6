"""The recorder keeps what it is asked, hands it on, and begins anew with a run that it hears."""

from __future__ import annotations

import asyncio

from ace.bench.adaptation_runs.request_recorder import RequestRecorder
from ace.engine.events import BatchStarted, RunStarted
from ace.inference import EngineMeter, ScriptedBackend
from ace.types import Message, Request

ASKED = [Request((Message("user", text),)) for text in "abcd"]


class Stepping(ScriptedBackend):
    """Its engine takes a step for each answer."""

    def meter(self) -> EngineMeter:
        return EngineMeter(steps=len(self.requests), step_s=0.5 * len(self.requests))


def ask(backend: RequestRecorder, *requests: Request) -> list[str]:
    async def work() -> list[str]:
        return [(await backend.complete(request)).text for request in requests]

    return asyncio.run(work())


def test_without_a_run_everything_is_kept() -> None:
    recorder = RequestRecorder(ScriptedBackend(["two words", "one"]))
    assert ask(recorder, *ASKED[:2]) == ["two words", "one"]
    assert (recorder.requests, recorder.tokens) == (ASKED[:2], 3)
    assert recorder.meter() == recorder.before == EngineMeter(), "a scripted model has no engine"


def test_a_run_is_kept_from_its_first_batch_on_batch_by_batch() -> None:
    recorder = RequestRecorder(Stepping(lambda request: request.messages[0].content))
    ask(recorder, ASKED[0])
    recorder.listen(RunStarted("r", "offline", 4, 2))
    assert recorder.requests == ASKED[:1]
    for index, request in enumerate(ASKED[1:3]):
        recorder.listen(BatchStarted(index, 0, 1, 0))
        ask(recorder, request)
    ask(recorder, ASKED[3])
    assert recorder.batches == [[ASKED[1]], [ASKED[2], ASKED[3]]]
    assert recorder.requests == ASKED[1:] and recorder.tokens == 3
    assert recorder.meter() - recorder.before == EngineMeter(steps=3, step_s=1.5)
    recorder.listen(BatchStarted(0, 0, 1, 0))
    assert (recorder.batches, recorder.tokens, recorder.before.steps) == ([[]], 0, 4)


def test_all_else_is_the_backends_own() -> None:
    inner = ScriptedBackend([], model="m")
    recorder = RequestRecorder(inner)
    assert recorder.info == inner.info and recorder.count_tokens("a b c") == 3
    asyncio.run(recorder.close())
    assert inner.closed
