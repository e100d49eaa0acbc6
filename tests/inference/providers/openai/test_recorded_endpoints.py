"""Answers as many servers write them: recorded conversations, and single streams of chunks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from endpoint import Body, Endpoint, Handler, serving
from recorded_endpoint import REASONING, Recording, inputs, playing, recordings

import ace.errors
from ace.config import ModelSettings
from ace.errors import AceError
from ace.inference import create_backend
from ace.types import Completion, Message, Request, Sampling

pytest.importorskip("openai")

TEXT = '{"final_answer": "für 12 €, 😀"}'
SCHEMA = {"type": "object", "properties": {"final_answer": {"type": "string"}}, "required": ["final_answer"]}
MESSAGES = (Message("system", "Be brief."), Message("user", "How much?"))


def ask(server: Endpoint, request: Request, **settings: Any) -> Completion:
    async def work() -> Completion:
        options = {"max_retries": 0, "timeout_s": 20, **settings}
        backend = create_backend(ModelSettings(provider="openai", model="m", base_url=server.url, **options))
        try:
            return await backend.complete(request)
        finally:
            await backend.close()

    return asyncio.run(work())


@pytest.mark.parametrize("recording", recordings())
@pytest.mark.slow
def test_a_conversation(recording: Recording) -> None:
    right = recording.right
    sampling = Sampling(max_tokens=64, temperature=0.5, top_p=1.0, seed=1)
    request = Request(MESSAGES, sampling, SCHEMA if recording.guided else None)
    with serving(playing(recording, lambda _: TEXT)) as server:
        if "error" in right:
            with pytest.raises(AceError, match=right["words"].replace("(", r"\(")) as caught:
                ask(server, request)
            assert type(caught.value) is getattr(ace.errors, right["error"])
            return
        completion = ask(server, request, max_retries=right.get("attempts", 1) - 1)
    assert_right(completion, right)
    assert len(server.bodies) == right.get("requests", 1)
    assert completion.attempts == right.get("attempts", 1)
    for told in right.get("notes", ()):
        assert any(told in note for note in completion.notes)
    assert len(completion.notes) == len(right.get("notes", ()))
    if right.get("merged"):
        assert server.bodies[-1]["messages"] == [{"role": "user", "content": "Be brief.\n\nHow much?"}]


def assert_right(completion: Completion, right: dict[str, Any]) -> None:
    usage = completion.usage
    text = right.get("text", TEXT)
    assert completion.text.endswith(text) if right.get("ends_with_text") else completion.text == text
    assert completion.finish_reason == right.get("finish", "stop")
    assert completion.finish_detail == right.get("detail", "")
    for name, value in (("prompt", usage.prompt_tokens), ("completion", usage.completion_tokens)):
        assert value == right.get(name, value) and value > 0
    assert usage.cached_tokens == right.get("cached", usage.cached_tokens)
    assert usage.reasoning_tokens == right.get("reasoning_tokens", usage.reasoning_tokens)
    assert bool(usage.estimated_tokens) == right.get("estimated", False)
    if right.get("reasoning"):
        assert completion.reasoning == REASONING and usage.reasoning_tokens > 0


@pytest.mark.parametrize("entry", inputs("chunks.yaml"))
def test_chunks(entry: dict[str, Any]) -> None:
    def respond(handler: Handler, _: Body) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(entry["body"].encode("utf-8"))

    with serving(respond) as server:
        if "error" in entry:
            with pytest.raises(AceError, match=entry["words"]) as caught:
                ask(server, Request(MESSAGES))
            assert type(caught.value) is getattr(ace.errors, entry["error"])
            return
        completion = ask(server, Request(MESSAGES))
    assert completion.text == entry["text"]
    assert completion.finish_reason == entry.get("finish", "stop")
    usage = entry.get("usage", {})
    for name, value in usage.items():
        assert getattr(completion.usage, name) == value
    assert completion.reasoning == entry.get("reasoning", "")


def test_what_was_learned_is_used_from_then_on_and_told_once() -> None:
    def respond(handler: Handler, body: Body) -> None:
        if "max_tokens" in body:
            handler.fail(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        elif any(message["role"] == "system" for message in body["messages"]):
            handler.fail(400, "System role not supported")
        else:
            handler.stream("ok")

    async def work(url: str) -> list[Completion]:
        backend = create_backend(ModelSettings(provider="openai", model="m", base_url=url))
        completions = [await backend.complete(Request(MESSAGES)) for _ in range(3)]
        await backend.close()
        return completions

    with serving(respond) as server:
        first, *later = asyncio.run(work(server.url))
    assert len(server.bodies) == 3 + 2
    assert [note.partition(": ")[0] for note in first.notes] == ["m", "m"]
    assert [completion.notes for completion in later] == [(), ()]


def test_a_server_that_cuts_long_prompts_is_told_of() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 1}
    with serving(lambda handler, _: handler.stream("ok", usage=usage)) as server:
        long = ask(server, Request((Message("user", "word " * 4000),)))
        short = ask(server, Request((Message("user", "word " * 1000),)))
    assert "seems to cut long prompts" in long.notes[0]
    assert short.notes == ()


def test_a_message_that_is_not_unicode_concerns_its_sample_alone() -> None:
    with (
        serving(lambda handler, _: handler.stream("ok")) as server,
        pytest.raises(ace.errors.RequestRejectedError, match="lone surrogate"),
    ):
        ask(server, Request((Message("user", "a\ud800b"),)))
