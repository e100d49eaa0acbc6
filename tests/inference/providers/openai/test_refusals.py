"""What servers refuse, in whatever words: asked again in another form, or one of our errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from endpoint import Body, Endpoint, Handler, serving
from recorded_endpoint import inputs

import ace.errors
from ace.config import ModelSettings, settings_from
from ace.errors import AceError, ConfigError
from ace.inference import create_backend
from ace.types import Completion, Message, Request, Sampling

pytest.importorskip("openai")

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
SAMPLING = Sampling(max_tokens=64, temperature=0.5, top_p=0.9, seed=1, stop=("END",))
MESSAGES = (Message("system", "Be brief."), Message("user", "How much?"))


def ask(server: Endpoint, *, guided: bool = True, **settings: Any) -> Completion:
    async def work() -> Completion:
        options = {"max_retries": 0, "timeout_s": 20, **settings}
        backend = create_backend(ModelSettings(provider="openai", model="m", base_url=server.url, **options))
        try:
            return await backend.complete(Request(MESSAGES, SAMPLING, SCHEMA if guided else None))
        finally:
            await backend.close()

    return asyncio.run(work())


def has(body: Body, field: str) -> bool:
    if field == "system":
        return any(message["role"] == "system" for message in body["messages"])
    return field in body


def send(handler: Handler, status: int, body: str) -> None:
    data = body.encode()
    handler.send_response(status)
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


@pytest.mark.parametrize("entry", inputs("refusals.yaml"))
def test_a_refused_request_is_put_in_another_form(entry: dict[str, Any]) -> None:
    left = [1 if entry.get("once") else 100]

    def respond(handler: Handler, body: Body) -> None:
        if has(body, entry["when"]) and left[0] > 0:
            left[0] -= 1
            send(handler, entry["status"], entry["body"])
        elif "stream" in body:
            handler.stream('{"a": ', '"b"}')
        else:
            send(handler, 200, '{"choices": [{"message": {"content": "{\\"a\\": \\"b\\"}"}, "finish_reason": "stop"}]}')

    with serving(respond) as server:
        completion = ask(server)
    assert completion.text == '{"a": "b"}'
    last = server.bodies[-1]
    assert not any(has(last, field) for field in entry["lacks"])
    assert all(has(last, field) for field in entry.get("has", ()))
    assert completion.notes
    assert [message["content"] for message in last["messages"]][-1].endswith("How much?")
    assert "Be brief." in last["messages"][0]["content"]


@pytest.mark.parametrize("entry", inputs("errors.yaml"))
def test_a_refusal_is_one_of_our_errors(entry: dict[str, Any]) -> None:
    body = entry["body"] * entry.get("body_times", 1)
    with (
        serving(lambda handler, _: send(handler, entry["status"], body)) as server,
        pytest.raises(AceError) as caught,
    ):
        ask(server, guided=entry.get("guided", False))
    error = caught.value
    assert type(error) is getattr(ace.errors, entry["error"])
    assert entry["words"] in error.message
    assert len(error.message) <= entry.get("most", 800)
    assert not any(word in str(error) + repr(error.facts) for word in entry.get("lacks", ()))


def test_both_names_of_the_limit_can_be_refused() -> None:
    def respond(handler: Handler, body: Body) -> None:
        for name in ("max_tokens", "max_completion_tokens"):
            if name in body:
                return handler.fail(400, f"Unknown parameter: {name}")
        return handler.stream("ok")

    with serving(respond) as server:
        assert ask(server, guided=False).text == "ok"
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("temperature", "top_p", "words", "dropped"),
    [
        (0.0, 0.9, "`temperature` must be strictly positive", "temperature"),
        (0.5, 1.0, "`top_p` must be > 0.0 and < 1.0", "top_p"),
        (1.5, 0.9, "temperature must be between 0 and 1", None),
        (0.5, 0.9, "top_p must be less than 0.5", None),
    ],
)
def test_a_value_at_the_edge_is_left_out_and_one_beyond_is_the_users(
    temperature: float, top_p: float, words: str, dropped: str | None
) -> None:
    field = dropped or words.split()[0]

    def respond(handler: Handler, body: Body) -> None:
        if field in body:
            handler.fail(422, words)
        else:
            handler.stream("ok")

    async def work(url: str) -> Completion:
        backend = create_backend(ModelSettings(provider="openai", model="m", base_url=url, max_retries=0))
        sampling = Sampling(temperature=temperature, top_p=top_p)
        try:
            return await backend.complete(Request((Message("user", "q"),), sampling))
        finally:
            await backend.close()

    with serving(respond) as server:
        if dropped is None:
            with pytest.raises(ace.errors.RequestRejectedError, match=words.split()[-1]):
                asyncio.run(work(server.url))
        else:
            assert asyncio.run(work(server.url)).notes == (f"m: it refuses {dropped}, so that its own default holds",)


def test_what_is_refused_in_every_form_ends_with_the_last_refusal() -> None:
    with (
        serving(lambda handler, _: handler.fail(400, "no")) as server,
        pytest.raises(ace.errors.RequestRejectedError, match="HTTP 400: no"),
    ):
        ask(server)
    assert len(server.bodies) == 3, "as it is, without the schema, without the system role"


def test_a_schema_is_sent_again_after_a_refusal_that_had_another_reason() -> None:
    async def work(url: str) -> None:
        backend = create_backend(ModelSettings(provider="openai", model="m", base_url=url, max_retries=0))
        with pytest.raises(ace.errors.RequestRejectedError):
            await backend.complete(Request((Message("user", "bad"),), SAMPLING, SCHEMA))
        await backend.complete(Request((Message("user", "good"),), SAMPLING, SCHEMA))
        await backend.close()

    def respond(handler: Handler, body: Body) -> None:
        if body["messages"][-1]["content"] == "bad":
            handler.fail(400, "no")
        else:
            handler.stream("{}")

    with serving(respond) as server:
        asyncio.run(work(server.url))
    assert "response_format" in server.bodies[-1]


def test_an_argument_that_the_client_does_not_take_is_named() -> None:
    with pytest.raises(ConfigError, match=r"engine_args\.top_k.*extra_body"):
        create_backend(
            ModelSettings(provider="openai", model="m", base_url="http://127.0.0.1:1/v1", engine_args={"top_k": 20})
        )


@pytest.mark.parametrize(
    "pasted", ["http://h/v1/chat/completions", "http://h/v1/chat/completions/", "http://h/v1/completions"]
)
def test_an_address_with_the_call_in_it_is_refused_with_the_right_one(pasted: str) -> None:
    values = {"task": {"name": "micro"}, "models": {"main": {"provider": "openai", "model": "m", "base_url": pasted}}}
    with pytest.raises(ConfigError, match=r"models\.main\.base_url.*: http://h/v1$"):
        settings_from(values)


def test_an_address_with_blanks_around_it_is_taken_without_them() -> None:
    assert ModelSettings(provider="openai", model="m", base_url=" http://h/v1\r\n").base_url == "http://h/v1"
