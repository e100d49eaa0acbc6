"""`LLMClient` over a server on this machine: the same calls from a script, from async code and from a notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from endpoint import Body, Endpoint, Handler, serving

from ace.errors import ConfigError, RequestRejectedError
from ace.inference import LLMClient
from ace.types import Message, Sampling

pytest.importorskip("openai")

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def echo(handler: Handler, body: Body) -> None:
    last = body["messages"][-1]["content"]
    if last == "refuse":
        handler.fail(422)
    else:
        handler.stream("said ", last, usage=USAGE)


@pytest.fixture
def server() -> Iterator[Endpoint]:
    with serving(echo) as endpoint:
        yield endpoint


def client(server: Endpoint, **settings: Any) -> LLMClient:
    return LLMClient("openai", "m", base_url=server.url, max_retries=0, **settings)


def test_prompts_come_back_in_order_with_their_usage(server: Endpoint) -> None:
    with client(server) as llm:
        answers = llm.generate([f"q{i}" for i in range(20)], Sampling(max_tokens=5, temperature=0.0))
        assert [answer.text for answer in answers] == [f"said q{i}" for i in range(20)]
        stats = llm.stats()
        assert (stats.calls, stats.errors, stats.retries) == (20, 0, 0)
        assert (stats.usage.prompt_tokens, stats.usage.completion_tokens) == (60, 40)
        assert (llm.info.provider, llm.info.model) == ("openai", "m")
    assert {body["max_tokens"] for body in server.bodies} == {5}


def test_a_string_a_conversation_and_several_of_them(server: Endpoint) -> None:
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    mixed: list[Any] = ["one", turns, (Message("user", "v"),)]
    with client(server) as llm:
        assert [a.text for a in llm.generate("one")] == ["said one"]
        assert [a.text for a in llm.generate(turns)] == ["said u"]
        assert [a.text for a in llm.generate([Message("user", "v")])] == ["said v"]
        assert [a.text for a in llm.generate(mixed)] == [
            "said one",
            "said u",
            "said v",
        ]
        assert llm.generate([]) == []
    assert server.bodies[1]["messages"] == turns


def test_inside_a_running_loop_as_in_a_notebook(server: Endpoint) -> None:
    async def cell() -> list[str]:
        with client(server) as llm:
            return [answer.text for answer in llm.generate(["a", "b"])]

    assert asyncio.run(cell()) == ["said a", "said b"]


def test_async_code_has_calls_of_its_own(server: Endpoint) -> None:
    async def work() -> list[str]:
        async with client(server) as llm:
            return [answer.text for answer in await llm.agenerate(["a", "b"])]

    assert asyncio.run(work()) == ["said a", "said b"]


def test_an_error_is_counted_and_raised(server: Endpoint) -> None:
    with client(server) as llm:
        with pytest.raises(RequestRejectedError):
            llm.generate("refuse")
        assert (llm.stats().calls, llm.stats().errors) == (1, 1)
        assert llm.generate("again")[0].text == "said again"


def test_closing_leaves_no_thread_and_may_be_done_twice(server: Endpoint) -> None:
    llm = client(server)
    llm.generate("a")
    mine = [thread for thread in threading.enumerate() if thread.name == "ace-client"]
    llm.close()
    llm.close()
    for thread in mine:
        thread.join(5)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"provider": "vlmm"}, "provider"),
        ({"max_modle_len": 5}, "max_modle_len"),
        ({"max_model_len": "long"}, "max_model_len"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        LLMClient(**{"provider": "openai", "model": "m", **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "turn", [{"role": "user"}, {"content": "x"}, {"role": "robot", "content": "x"}, {"role": "user", "content": 3}]
)
def test_a_turn_that_is_none_is_named(server: Endpoint, turn: dict[str, str]) -> None:
    with client(server) as llm, pytest.raises(ConfigError, match="message"):
        llm.generate([turn])
    assert server.bodies == []
