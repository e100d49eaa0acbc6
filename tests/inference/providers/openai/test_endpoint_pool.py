"""Several endpoints behind one backend: failures, limits and slowness of one of them reach nobody."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from endpoint import Body, Endpoint, Handler, serving

import ace
from ace.config import ModelSettings, settings_from
from ace.errors import ConfigError, EngineDeadError
from ace.inference import Backend, create_backend
from ace.inference.balancer import EndpointFigures
from ace.types import Completion, Message, Request

pytest.importorskip("openai")


def answer(handler: Handler, body: Body) -> None:
    handler.stream("fine")


def request(number: int) -> Request:
    return Request((Message("user", f"question {number}"),))


def pool(endpoints: Sequence[Endpoint | str], **more: Any) -> Backend:
    addresses = [one if isinstance(one, str) else one.url for one in endpoints]
    weights = more.pop("weights", [1.0] * len(addresses))
    listed = [{"base_url": url, "weight": weight} for url, weight in zip(addresses, weights, strict=True)]
    return create_backend(
        ModelSettings.model_validate({"provider": "openai", "model": "m", "endpoints": listed} | more)
    )


def ask(
    backend: Backend, requests: int, *, at_once: bool = True
) -> tuple[list[Completion], dict[str, EndpointFigures]]:
    async def work() -> list[Completion]:
        try:
            if at_once:
                return await asyncio.gather(*(backend.complete(request(number)) for number in range(requests)))
            return [await backend.complete(request(number)) for number in range(requests)]
        finally:
            await backend.close()

    answers = asyncio.run(work())
    return answers, {figures.address: figures for figures in backend.endpoint_figures}  # type: ignore[attr-defined]


def test_requests_are_shared_by_weight() -> None:
    with serving(answer) as one, serving(answer) as two:
        _, figures = ask(pool([one, two], weights=[1.0, 3.0]), 40)
    assert (len(one.bodies), len(two.bodies)) == (10, 30)
    assert figures[two.url].answers == 30


def test_an_endpoint_that_fails_is_left_alone_and_every_request_answered() -> None:
    def broken(handler: Handler, body: Body) -> None:
        handler.fail(500)

    with serving(broken) as bad, serving(answer) as good:
        answers, figures = ask(pool([bad, good]), 30, at_once=False)
    assert {completion.text for completion in answers} == {"fine"}
    assert figures[bad.url].failures == len(bad.bodies) < 10
    assert figures[bad.url].openings == 1
    assert figures[good.url].answers == 30


def test_an_address_with_nobody_at_it_gets_hardly_a_request() -> None:
    with serving(answer) as gone:
        address = gone.url
    with serving(answer) as good:
        answers, figures = ask(pool([address, good]), 10, at_once=False)
    assert len(answers) == 10
    assert 1 <= figures[address].failures < 4  # once, but on a machine so busy that its rest ends meanwhile


def test_an_endpoint_that_comes_back_gets_requests_again() -> None:
    with serving(answer) as gone:
        port, address = gone.server_address[1], gone.url

    async def work(backend: Backend) -> None:
        await backend.complete(request(0))
        with serving(answer, port) as back:
            number = 1
            while not back.bodies:
                await backend.complete(request(number))
                number += 1
            assert [body["model"] for body in back.bodies] == ["m"]
        await backend.close()

    with serving(answer) as good:
        asyncio.run(work(pool([address, good])))


def test_rate_limits_send_requests_elsewhere() -> None:
    def limited(handler: Handler, body: Body) -> None:
        handler.fail(429, headers={"Retry-After": "60"})

    with serving(limited) as busy, serving(answer) as free:
        answers, figures = ask(pool([busy, free]), 10, at_once=False)
    assert len(answers) == 10
    assert (figures[busy.url].limited, figures[busy.url].failures) == (1, 0)


def test_a_used_up_limit_in_an_answer_s_headers_is_heeded() -> None:
    def last(handler: Handler, body: Body) -> None:
        headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "60s"}
        choice = {"index": 0, "message": {"role": "assistant", "content": "last"}, "finish_reason": "stop"}
        handler.reply({"id": "x", "object": "chat.completion", "choices": [choice]}, headers=headers)

    with serving(last) as spent, serving(answer) as free:
        ask(pool([spent, free]), 10, at_once=False)
    assert (len(spent.bodies), len(free.bodies)) == (1, 9)


def test_a_slow_endpoint_s_request_is_hedged() -> None:
    done = threading.Event()

    def slow(handler: Handler, body: Body) -> None:
        done.wait(60)
        answer(handler, body)

    with ExitStack() as stack:
        lazy, quick = stack.enter_context(serving(slow)), stack.enter_context(serving(answer))
        stack.callback(done.set)
        answers, figures = ask(pool([lazy, quick], hedge_after_s=0.2), 1)
    assert answers[0].text == "fine"
    assert figures[quick.url].hedges == 1
    assert figures[lazy.url].failures == 0


def test_all_gone_is_a_dead_engine() -> None:
    with serving(answer) as one, serving(answer) as two:
        addresses = [one.url, two.url]
    with pytest.raises(EngineDeadError):
        ask(pool(addresses, max_retries=1), 2)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ({"provider": "vllm", "endpoints": [{"base_url": "http://a/v1"}]}, "endpoints"),
        ({"base_url": "http://b/v1", "endpoints": [{"base_url": "http://a/v1"}]}, "base_url"),
        ({"endpoints": [{"base_url": "http://a/v1"}, {"base_url": "http://a/v1"}]}, "endpoints"),
        ({"endpoints": [{"base_url": "http://a/v1"}], "hedge_after_s": 1.0}, "hedge_after_s"),
        ({"endpoints": [{"base_url": "a"}]}, "endpoints.0.base_url"),
        ({"endpoints": [{"base_url": "http://a/v1", "weight": 0}]}, "endpoints.0.weight"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(model: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_from({"task": {"name": "micro"}, "models": {"main": {"provider": "openai", "model": "m"} | model}})
    assert caught.value.facts["key"] == f"models.main.{key}"


def test_no_reading_of_an_answer_is_left_to_the_garbage_collector() -> None:
    left: list[str] = []

    def note(generator: Any) -> None:
        left.append(generator.ag_code.co_filename)

    async def work(backend: Backend) -> None:
        sys.set_asyncgen_hooks(finalizer=note)
        assert (await backend.complete(request(0))).text == "fine"
        gc.collect()
        await backend.close()

    with serving(answer) as server:
        asyncio.run(work(pool([server])))
    assert not [name for name in left if name.startswith(str(Path(ace.__file__).parent))]
