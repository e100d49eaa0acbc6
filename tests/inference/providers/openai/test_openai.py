"""The openai provider against a real HTTP server on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import Any

import pytest
from endpoint import Body, Handler, Respond, serving

from ace.config import ModelSettings
from ace.errors import (
    AceError,
    ConfigError,
    EngineDeadError,
    ModelNotFoundError,
    PromptTooLongError,
    ProviderStartError,
    RequestRejectedError,
    TransientError,
)
from ace.inference import create_backend
from ace.types import Completion, Message, Request, Sampling

pytest.importorskip("openai")

CANARY = "sk-canary-1234567890"
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 2,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 8},
}
REQUEST = Request((Message("user", "hello"),), Sampling(max_tokens=7, temperature=0.5, seed=3, stop=("END",)))
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACE_TEST_KEY", CANARY)


def ask(url: str, request: Request = REQUEST, **settings: Any) -> Completion:
    async def work() -> Completion:
        options = {"max_retries": 0, "timeout_s": 5, "api_key_env": "ACE_TEST_KEY", **settings}
        backend = create_backend(ModelSettings(provider="openai", model="m", base_url=url, **options))
        try:
            return await backend.complete(request)
        finally:
            await backend.close()

    return asyncio.run(work())


def test_an_answer_is_streamed_with_its_usage() -> None:
    with serving(lambda handler, _: handler.stream("he", "llo", usage=USAGE)) as server:
        completion = ask(server.url)
    assert (completion.text, completion.finish_reason) == ("hello", "stop")
    usage = completion.usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (11, 8, 2)
    assert usage.ttft_s is not None and 0 < usage.ttft_s <= usage.total_s
    sent = server.bodies[0]
    assert sent["messages"] == [{"role": "user", "content": "hello"}]
    assert (sent["max_tokens"], sent["temperature"], sent["seed"], sent["stop"]) == (7, 0.5, 3, ["END"])
    assert server.keys == [f"Bearer {CANARY}"]


def test_a_fixed_length_is_asked_for_in_the_words_of_vllm() -> None:
    with serving(lambda handler, _: handler.stream("he", usage=USAGE)) as server:
        ask(server.url, Request(REQUEST.messages, Sampling(max_tokens=7, ignore_eos=True)))
        ask(server.url)
    assert server.bodies[0]["ignore_eos"] is True
    assert "ignore_eos" not in server.bodies[1]


def test_a_schema_is_sent_and_left_out_where_the_server_refuses_it() -> None:
    def respond(handler: Handler, body: Body) -> None:
        if "response_format" in body:
            handler.fail(400, "response_format is not supported")
        else:
            handler.stream('{"a": "b"}', usage=USAGE)

    with serving(respond) as server:
        assert ask(server.url, Request(REQUEST.messages, REQUEST.sampling, SCHEMA)).text == '{"a": "b"}'
    assert server.bodies[0]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert "response_format" not in server.bodies[1]


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "this model's maximum context length is 10 tokens", PromptTooLongError),
        (400, "bad parameter", RequestRejectedError),
        (401, "who are you", ProviderStartError),
        (403, "not for you", ProviderStartError),
        (404, "no such model", ModelNotFoundError),
        (408, "slow", TransientError),
        (409, "conflict", TransientError),
        (422, "what", RequestRejectedError),
        (429, "too many", TransientError),
        (500, "oh", TransientError),
        (503, "busy", TransientError),
    ],
)
def test_every_status_becomes_one_of_our_errors(status: int, message: str, expected: type[AceError]) -> None:
    with serving(lambda handler, _: handler.fail(status, message)) as server, pytest.raises(expected) as caught:
        ask(server.url)
    assert type(caught.value) is expected
    assert CANARY not in str(caught.value) + repr(caught.value.facts)


def test_a_server_that_recovers_is_asked_again_after_the_time_it_names() -> None:
    answers: list[Respond] = [
        lambda handler, _: handler.fail(429, headers={"retry-after": "0.01"}),
        lambda handler, _: handler.fail(500),
        lambda handler, _: handler.stream("ok", usage=USAGE),
    ]
    with serving(lambda handler, body: answers.pop(0)(handler, body)) as server:
        completion = ask(server.url, max_retries=3)
    assert (completion.text, completion.attempts) == ("ok", 3)


def test_a_stream_that_breaks_off_is_transient() -> None:
    with serving(lambda handler, _: handler.stream("he", finish=None)) as server, pytest.raises(TransientError):
        ask(server.url)


def test_no_server_is_a_dead_engine() -> None:
    with pytest.raises(EngineDeadError, match="connection failed"):
        ask("http://127.0.0.1:9/v1", max_retries=1)


def test_a_server_that_comes_back_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def work() -> Completion:
        options: dict[str, Any] = {"max_retries": 8, "timeout_s": 5, "api_key_env": "ACE_TEST_KEY"}
        backend = create_backend(
            ModelSettings(provider="openai", model="m", base_url=f"http://127.0.0.1:{port}/v1", **options)
        )
        asked = asyncio.ensure_future(backend.complete(REQUEST))
        await asyncio.sleep(0.3)
        with serving(lambda handler, _: handler.stream("back", usage=USAGE), port=port):
            completion = await asked
        await backend.close()
        return completion

    completion = asyncio.run(work())
    assert completion.text == "back"
    assert completion.attempts > 1


def test_a_slow_trickle_ends_at_the_time_limit() -> None:
    def trickle(handler: Handler, body: Body) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(100):
                handler.wfile.write(b": still here\n\n")
                time.sleep(0.05)

    started = time.perf_counter()
    with serving(trickle) as server, pytest.raises(TransientError, match="no answer in time"):
        ask(server.url, timeout_s=0.4)
    assert time.perf_counter() - started < 4


def test_no_answer_in_time_is_transient() -> None:

    def stall(handler: Handler, _: Body) -> None:
        handler.rfile.read(0)
        handler.close_connection = True
        time.sleep(0.6)

    with serving(stall) as server, pytest.raises(TransientError):
        ask(server.url, timeout_s=0.2)


def test_a_hosted_endpoint_needs_its_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACE_TEST_KEY")
    with pytest.raises(ConfigError, match="ACE_TEST_KEY"):
        create_backend(ModelSettings(provider="openai", model="m", api_key_env="ACE_TEST_KEY"))


def test_every_error_of_the_client_library_is_mapped() -> None:
    import httpx
    import openai

    from ace.inference.providers.openai.endpoint_errors import Endpoint

    def kinds(kind: type[Exception]) -> list[type[Exception]]:
        return [kind, *(deeper for below in kind.__subclasses__() for deeper in kinds(below))]

    response = httpx.Response(418, request=httpx.Request("POST", "http://127.0.0.1/"))
    for kind in kinds(openai.OpenAIError):
        error = kind.__new__(kind)
        Exception.__init__(error, "x")
        if isinstance(error, openai.APIStatusError):
            error.response, error.status_code = response, getattr(kind, "status_code", 418)
        with pytest.raises(AceError), Endpoint("http://127.0.0.1", "m", None).errors():
            raise error


def test_a_stream_that_is_cut_under_way_or_holds_an_error_is_transient() -> None:
    def cut(handler: Handler, _: Body) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("content-length", "1000")
        handler.end_headers()
        handler.wfile.write(b"data: ")
        handler.close_connection = True

    def fail(handler: Handler, _: Body) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(b'data: {"error": {"message": "CUDA out of memory"}}\n\n')

    def babble(handler: Handler, _: Body) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(b"data: {not json\n\n")

    for respond, said in ((cut, "connection failed"), (fail, "out of memory"), (babble, "cannot be read")):
        with serving(respond) as server, pytest.raises(TransientError, match=said):
            ask(server.url)
