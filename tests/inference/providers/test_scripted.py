"""The scripted backend, which stands in for an engine in the unit tests."""

from __future__ import annotations

import asyncio

import pytest

from ace.errors import RequestRejectedError
from ace.inference import ScriptedBackend
from ace.types import Completion, Message, Request


def ask(backend: ScriptedBackend, text: str) -> Completion:
    return asyncio.run(backend.complete(Request((Message("system", "one two"), Message("user", text)))))


def test_a_function_answers_each_request() -> None:
    backend = ScriptedBackend(lambda request: request.messages[-1].content.upper(), model="m")
    completion = ask(backend, "say it")
    assert (completion.text, completion.finish_reason, completion.model) == ("SAY IT", "stop", "m")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (4, 2)
    assert [request.messages[-1].content for request in backend.requests] == ["say it"]


def test_a_list_answers_in_turn_and_then_refuses() -> None:
    backend = ScriptedBackend(["a", "b"])
    assert [ask(backend, "q").text, ask(backend, "q").text] == ["a", "b"]
    with pytest.raises(RequestRejectedError, match="only 2 answers"):
        ask(backend, "q")


def test_closing_is_seen() -> None:
    backend = ScriptedBackend([])
    asyncio.run(backend.close())
    assert backend.closed
