"""The one retry layer, around a backend that fails as it is told."""

from __future__ import annotations

import asyncio
import time

import pytest

from ace.errors import AceError, EngineDeadError, PromptTooLongError, RequestRejectedError, TransientError
from ace.inference import ScriptedBackend
from ace.inference.wrappers.retry import RetryingBackend
from ace.types import Completion, Message, Request

REQUEST = Request((Message("user", "q"),))


class Failing(ScriptedBackend):
    """Raises the given errors, one a call, and then answers."""

    def __init__(self, *errors: BaseException) -> None:
        super().__init__(lambda _: "ok")
        self.errors = list(errors)
        self.calls = 0

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return await super().complete(request)


def again(status: int = 503) -> TransientError:
    return TransientError(f"HTTP {status}", status=status, retry_after_s=0)


def ask(backend: Failing, max_retries: int) -> Completion:
    return asyncio.run(RetryingBackend(backend, max_retries).complete(REQUEST))


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_a_call_that_succeeds_later_says_how_often_it_was_tried(failures: int) -> None:
    backend = Failing(*(again() for _ in range(failures)))
    completion = ask(backend, 3)
    assert (completion.text, completion.attempts, backend.calls) == ("ok", failures + 1, failures + 1)


def test_after_the_last_retry_the_last_error_itself_is_raised() -> None:
    backend = Failing(again(500), again(502), again(503), again(429))
    with pytest.raises(TransientError, match="HTTP 503"):
        ask(backend, 2)
    assert backend.calls == 3


@pytest.mark.parametrize("error", [EngineDeadError("e"), RequestRejectedError("e"), PromptTooLongError("e")])
def test_what_cannot_get_better_is_not_tried_again(error: AceError) -> None:
    backend = Failing(error)
    with pytest.raises(type(error)):
        ask(backend, 5)
    assert backend.calls == 1


def test_a_defect_is_not_tried_again() -> None:
    backend = Failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        ask(backend, 5)
    assert backend.calls == 1


def test_a_server_is_left_alone_for_as_long_as_it_asks() -> None:
    started = time.perf_counter()
    ask(Failing(TransientError("busy", retry_after_s=0.2)), 1)
    assert time.perf_counter() - started >= 0.2


def test_a_cancelled_call_waits_no_longer() -> None:
    async def work() -> None:
        backend = RetryingBackend(Failing(TransientError("busy", retry_after_s=60)), 1)
        async with asyncio.timeout(0.05):
            await backend.complete(REQUEST)

    with pytest.raises(TimeoutError):
        asyncio.run(work())


def test_calls_under_way_together_are_counted_apart() -> None:
    async def work() -> list[int]:
        backend = RetryingBackend(Failing(again(), again()), 3)
        completions = await asyncio.gather(*(backend.complete(REQUEST) for _ in range(4)))
        return sorted(completion.attempts for completion in completions)

    assert asyncio.run(work()) == [1, 1, 2, 2]
