"""`ace serve` as OpenAI's own client sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from endpoint import Body, Endpoint, Handler
from endpoint import serving as endpoint_of

from ace.config import ModelSettings
from ace.inference import ScriptedBackend
from ace.store import RunStore

pytest.importorskip("openai")
pytest.importorskip("aiohttp")
pytest.importorskip("fastapi")

import openai
from serving import advice, commit_version, make_run, serving

from ace.server import EndpointUpstream, EngineUpstream, KeySettings, PlaybookSource

QUESTION = [{"role": "user", "content": "Why?"}]
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ace.db"


@pytest.fixture
def run(url: str) -> str:
    return make_run(url)


def answer(handler: Handler, body: Body) -> None:
    """Streams two words, or gives them whole; calls a tool where there are tools."""
    if body.get("stream"):
        handler.stream("Because", " so.", usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
        return
    call = {"id": "call-1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    message: dict[str, Any] = {"role": "assistant", "content": "Because so."}
    if body.get("tools"):
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if body.get("tools") else "stop"}
    handler.reply({"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with endpoint_of(answer) as endpoint:
        yield endpoint


@pytest.fixture
def address(url: str, run: str, endpoint: Endpoint) -> Iterator[str]:
    with serving(url, run, endpoint.url) as address:
        yield address


def client(address: str, key: str = "none") -> Any:
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, http_client=_HTTP)


_HTTP = openai.DefaultHttpxClient()


@pytest.fixture(scope="module", autouse=True)
def connections() -> Iterator[None]:
    """All clients share their connections, which are closed at the end."""
    yield
    _HTTP.close()


def test_the_playbook_stands_in_front_of_the_client_s_messages(address: str, run: str, endpoint: Endpoint) -> None:
    completion = client(address).chat.completions.create(
        model=f"ace/{run}", messages=QUESTION, temperature=0.3, extra_body={"top_k": 5}
    )
    assert completion.choices[0].message.content == "Because so."
    sent = endpoint.bodies[-1]
    assert sent["messages"] == [{"role": "system", "content": advice("first", "second").as_system_prompt()}, *QUESTION]
    assert (sent["model"], sent["temperature"], sent["top_k"]) == ("upstream-model", 0.3, 5)


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_message_stays_the_only_one(address: str, run: str, endpoint: Endpoint, role: str) -> None:
    parts = [{"type": "text", "text": "Be brief."}]
    for content in ("Be brief.", parts):
        client(address).chat.completions.create(
            model=f"ace/{run}", messages=[{"role": role, "content": content}, *QUESTION]
        )
    text, listed = (body["messages"] for body in endpoint.bodies)
    playbook = advice("first", "second").as_system_prompt()
    assert [message["role"] for message in text] == [role, "user"]
    assert text[0]["content"] == f"{playbook}\n\nBe brief."
    assert listed[0]["content"] == [{"type": "text", "text": playbook}, *parts]


def test_answers_stream_as_the_upstream_gives_them(address: str, run: str) -> None:
    with client(address).chat.completions.with_streaming_response.create(
        model=f"ace/{run}", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    ) as response:
        chunks = list(response.parse())
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Because so."
    assert chunks[-1].usage.total_tokens == 5
    assert response.headers["x-ace-playbook"] == f"{run}@2"


def test_tools_pass_through(address: str, run: str, endpoint: Endpoint) -> None:
    completion = client(address).chat.completions.create(
        model=f"ace/{run}", messages=QUESTION, tools=TOOLS, tool_choice="auto", parallel_tool_calls=False
    )
    assert completion.choices[0].message.tool_calls[0].function.name == "look_up"
    sent = endpoint.bodies[-1]
    assert (sent["tools"], sent["tool_choice"], sent["parallel_tool_calls"]) == (TOOLS, "auto", False)


@pytest.mark.parametrize(
    ("model", "header", "served"),
    [
        ("ace/{run}@1", {}, ("{run}@1", ["first"])),
        ("ace/{run}@latest", {}, ("{run}@2", ["first", "second"])),
        ("ace/{run}", {"x-ace-playbook": "1"}, ("{run}@1", ["first"])),
        ("ace/{run}@1", {"x-ace-playbook": "2"}, ("{run}@2", ["first", "second"])),
        ("other-model", {}, ("{run}@2", ["first", "second"])),
        ("ace/{run}", {"x-ace-playbook": "none"}, ("none", [])),
    ],
)
def test_a_version_is_pinned_by_name_or_header(
    address: str, run: str, endpoint: Endpoint, model: str, header: dict[str, str], served: tuple[str, list[str]]
) -> None:
    raw = client(address).chat.completions.with_raw_response.create(
        model=model.format(run=run), messages=QUESTION, extra_headers=header
    )
    assert raw.headers["x-ace-playbook"] == served[0].format(run=run)
    sent = endpoint.bodies[-1]
    system = [message["content"] for message in sent["messages"] if message["role"] == "system"]
    assert system == [advice(*served[1]).as_system_prompt()] if served[1] else system == []
    assert sent["model"] == ("other-model" if model == "other-model" else "upstream-model")


def test_errors_are_openai_s(address: str, run: str) -> None:
    chat = client(address).chat.completions
    for model in (f"ace/{run}@99", "ace/nobody"):
        with pytest.raises(openai.NotFoundError) as caught:
            chat.create(model=model, messages=QUESTION)
        assert caught.value.code == "playbook_not_found"
    with pytest.raises(openai.BadRequestError, match="allowed: a number, latest, best or none"):
        chat.create(model=f"ace/{run}@x", messages=QUESTION)
    with pytest.raises(openai.BadRequestError) as empty:
        chat.create(model=f"ace/{run}", messages=[])
    assert empty.value.param == "messages"
    with pytest.raises(openai.NotFoundError):
        client(address).embeddings.create(model="m", input="x")
    assert httpx.post(f"{address}/v1/chat/completions", content=b"{}").status_code == 415


def test_the_upstream_s_refusals_pass_through(url: str, run: str) -> None:
    def refuse(handler: Handler, body: Body) -> None:
        handler.fail(429, "slow down", {"Retry-After": "7", "x-ratelimit-remaining-requests": "0"})

    with (
        endpoint_of(refuse) as endpoint,
        serving(url, run, endpoint.url) as address,
        pytest.raises(openai.RateLimitError, match="slow down") as caught,
    ):
        client(address).chat.completions.create(model=f"ace/{run}", messages=QUESTION)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"


def test_nobody_upstream_is_a_bad_gateway_and_not_ready(url: str, run: str) -> None:
    with endpoint_of(answer) as endpoint:
        gone = endpoint.url
    with serving(url, run, gone) as address:
        with pytest.raises(openai.InternalServerError) as caught:
            client(address).chat.completions.create(model=f"ace/{run}", messages=QUESTION)
        assert (caught.value.status_code, caught.value.code) == (502, "upstream_unavailable")
        assert httpx.get(f"{address}/readyz").status_code == 503
        assert httpx.get(f"{address}/healthz").status_code == 200


def test_models_are_the_run_and_its_versions(address: str, run: str) -> None:
    names = [model.id for model in client(address).models.list()]
    assert names == [f"ace/{run}", f"ace/{run}@2", f"ace/{run}@1"]


def test_a_canary_gets_its_share_and_each_user_always_the_same(url: str, run: str, endpoint: Endpoint) -> None:
    with serving(url, run, endpoint.url, stable="1", canary=0.5) as address:
        chat = client(address).chat.completions.with_raw_response

        def version(user: str) -> str:
            return str(chat.create(model=f"ace/{run}", messages=QUESTION, user=user).headers["x-ace-playbook"])

        seen = {f"user-{number}": version(f"user-{number}") for number in range(12)}
        assert {user: version(user) for user in seen} == seen
    assert set(seen.values()) == {f"{run}@1", f"{run}@2"}
    with RunStore.open(url) as store:
        playbooks = PlaybookSource(store, run, stable="1", canary=0.1)
        newest = sum(playbooks.choose(None, f"user-{number}").version == 2 for number in range(5_000))
    assert 400 < newest < 600


def test_a_new_version_is_served_soon_after_its_commit(url: str, run: str, address: str) -> None:
    with RunStore.open(url) as store:
        store.acquire(run, reopen=False)
        version = commit_version(store, run, "third")
    models = client(address).models
    while f"ace/{run}@{version}" not in [model.id for model in models.list()]:
        pass
    raw = client(address).chat.completions.with_raw_response.create(model=f"ace/{run}", messages=QUESTION)
    assert raw.headers["x-ace-playbook"] == f"{run}@{version}"


def test_keys_and_their_limits(url: str, run: str, endpoint: Endpoint) -> None:
    from hashlib import sha256

    keys = {
        "slow": KeySettings(sha256=sha256(b"slow-key").hexdigest(), requests_per_minute=2),
        "free": KeySettings(sha256=sha256(b"free-key").hexdigest()),
    }
    with serving(url, run, endpoint.url, keys=keys) as address:
        with pytest.raises(openai.AuthenticationError):
            client(address, "wrong").chat.completions.create(model=f"ace/{run}", messages=QUESTION)
        slow, free = client(address, "slow-key"), client(address, "free-key")
        for _ in range(2):
            slow.chat.completions.create(model=f"ace/{run}", messages=QUESTION)
        with pytest.raises(openai.RateLimitError, match="2 requests a minute") as caught:
            slow.chat.completions.create(model=f"ace/{run}", messages=QUESTION)
        assert 0 < int(caught.value.response.headers["retry-after"]) <= 30
        for _ in range(5):
            free.chat.completions.create(model=f"ace/{run}", messages=QUESTION)
        metrics = httpx.get(f"{address}/metrics").text
    assert 'ace_requests_total{client="slow",status="200"} 2.0' in metrics
    assert 'ace_requests_total{client="slow",status="429"} 1.0' in metrics
    assert "Bearer slow-key" not in endpoint.keys


def test_without_keys_only_local_names_are_served(address: str) -> None:
    response = httpx.get(f"{address}/v1/models", headers={"host": "evil.example"})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden_host")


def test_a_model_in_process_answers_whole_and_streamed(url: str, run: str) -> None:
    backend = ScriptedBackend(lambda request: json.dumps([message.content for message in request.messages]))
    with serving(url, run, EngineUpstream(backend)) as address:
        chat = client(address).chat.completions
        whole = chat.create(model=f"ace/{run}", messages=QUESTION, max_tokens=50, stop="x")
        streamed = chat.create(
            model=f"ace/{run}", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
        with pytest.raises(openai.BadRequestError, match="not supported with provider 'scripted'") as caught:
            chat.create(model=f"ace/{run}", messages=QUESTION, tools=TOOLS)
    assert caught.value.param == "tools"
    assert whole.choices[0].message.content == text
    assert json.loads(text) == [advice("first", "second").as_system_prompt(), "Why?"]


def test_several_endpoints_share_the_requests_and_stand_in_for_each_other(url: str, run: str) -> None:
    def broken(handler: Handler, body: Body) -> None:
        handler.fail(503)

    with endpoint_of(answer) as gone:
        away = gone.url
    with endpoint_of(broken) as bad, endpoint_of(answer) as good:
        endpoints = [{"base_url": one} for one in (away, bad.url, good.url)]
        model = ModelSettings.model_validate({"provider": "openai", "model": "m", "endpoints": endpoints})
        with serving(url, run, EndpointUpstream(model)) as address:
            assert httpx.get(f"{address}/readyz").status_code == 200
            for _ in range(8):
                client(address).chat.completions.create(model=f"ace/{run}", messages=QUESTION)
            metrics = httpx.get(f"{address}/metrics").text
    assert f'ace_endpoint_requests{{endpoint="{good.url}",kind="answers"}} 8.0' in metrics
    assert f'ace_endpoint_requests{{endpoint="{away}",kind="openings"}} 1.0' in metrics
    assert len(bad.bodies) < 8
