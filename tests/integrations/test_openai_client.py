"""Clients of openai with a playbook, against an endpoint that keeps what it is sent."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ace.integrations.live_playbook import RunPlaybook
from ace.playbook import Add, Delta, Playbook, apply, write_playbook
from ace.store import RunStore

openai = pytest.importorskip("openai")

from ace.integrations.openai_client import with_playbook  # noqa: E402 - it needs the package

RULE = "Tickets about parcels go to X59."
PLAYBOOK = apply(Playbook.empty(), Delta((Add("rules", RULE),))).playbook
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "X59"}}],
}
RESPONSE = {
    "id": "1",
    "object": "response",
    "created_at": 0,
    "model": "m",
    "output": [],
    "parallel_tool_calls": False,
    "tool_choice": "auto",
    "tools": [],
}


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    bodies: list[dict[str, Any]] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            data = json.dumps(RESPONSE if "responses" in self.path else ANSWER).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_messages_get_the_playbook_and_keep_their_own_system_text(endpoint: tuple[str, list[dict[str, Any]]]) -> None:
    url, bodies = endpoint
    with openai.OpenAI(base_url=url, api_key="none") as plain:
        client = with_playbook(plain, PLAYBOOK)
        user = {"role": "user", "content": "hello"}
        parts = [{"type": "text", "text": "You route."}]
        for system in ([], [{"role": "developer", "content": "You route."}], [{"role": "system", "content": parts}]):
            reply = client.chat.completions.create(model="m", messages=[*system, user])
            assert reply.choices[0].message.content == "X59"
        plain.chat.completions.create(model="m", messages=[user])
    heads = [body["messages"][0] for body in bodies]
    assert RULE in heads[0]["content"] and heads[0]["role"] == "system"
    assert heads[1]["role"] == "developer" and heads[1]["content"].startswith("You route.\n\n")
    assert heads[2]["content"][0] == parts[0] and RULE in heads[2]["content"][1]["text"]
    assert bodies[3]["messages"] == [user]  # the client that was wrapped stays as it was


def test_responses_get_it_in_their_instructions(endpoint: tuple[str, list[dict[str, Any]]]) -> None:
    url, bodies = endpoint
    with openai.OpenAI(base_url=url, api_key="none") as plain:
        client = with_playbook(plain, PLAYBOOK)
        client.responses.create(model="m", input="hello")
        client.responses.create(model="m", input="hello", instructions="You route.")
    assert RULE in bodies[0]["instructions"]
    assert bodies[1]["instructions"].startswith("You route.\n\n") and RULE in bodies[1]["instructions"]


def test_the_async_client_gets_it_too(endpoint: tuple[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    url, bodies = endpoint
    write_playbook(PLAYBOOK, tmp_path / "playbook.json")

    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=url, api_key="none") as plain:
            client = with_playbook(plain, tmp_path / "playbook.json")
            return await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])

    assert asyncio.run(ask()).choices[0].message.content == "X59"
    assert RULE in bodies[0]["messages"][0]["content"]


def test_an_empty_playbook_changes_no_request(endpoint: tuple[str, list[dict[str, Any]]]) -> None:
    url, bodies = endpoint
    messages = [{"role": "user", "content": "hello"}]
    with openai.OpenAI(base_url=url, api_key="none") as plain:
        with_playbook(plain, Playbook.empty()).chat.completions.create(model="m", messages=messages)
    assert bodies[0]["messages"] == messages


def test_the_playbook_of_a_run_is_read_anew(tmp_path: Path) -> None:
    from builders import batch, start

    with RunStore.open(tmp_path / "ace.db") as store:
        run = start(store)
        current = RunPlaybook(run, f"sqlite:///{tmp_path}/ace.db")
        assert len(current()) == 0
        store.commit_batch(batch(run, 0, store.playbook(run)))
        assert [bullet.content for bullet in current().bullets] == ["rule of batch 0"]
