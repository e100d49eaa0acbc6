"""`ace mcp` with the official client, over stdio and over HTTP, and a learner behind it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from endpoint import Body, Handler, serving
from micro_runs import all_roles, micro_backend, settings

from ace.engine import run
from ace.store import RunStore

pytestmark = pytest.mark.skipif(find_spec("mcp") is None, reason="mcp is not installed: pip install 'ace-vllm[mcp]'")

RULE = "Whatever is asked twice is answered once."


@pytest.fixture
def finished(tmp_path: Path) -> str:
    """A finished run in `ace.db` of the folder."""
    changes: dict[str, Any] = {"evaluation": {"before": False, "after": False}}
    return asyncio.run(run(settings(tmp_path, **changes), backends=all_roles(micro_backend()))).run


def talk(server: object, work: Callable[[Any], Awaitable[None]]) -> None:
    import mcp  # slow: only where it is used

    async def session() -> None:
        async with mcp.Client(server, read_timeout_seconds=120) as client:
            await work(client)

    asyncio.run(session())


def stdio(arguments: list[str], environment: Mapping[str, str]) -> object:
    """The command as a server over stdio."""
    from mcp.client.stdio import StdioServerParameters

    return StdioServerParameters(command=sys.executable, args=arguments, env=dict(environment))


def command(folder: Path, *arguments: str) -> list[str]:
    return ["-m", "ace", "mcp", "latest", "--store", f"sqlite:///{folder}/ace.db", *arguments]


async def check_tools(client: Any, run_id: str) -> None:
    assert {tool.name for tool in (await client.list_tools()).tools} >= {"get_playbook", "report_feedback"}
    playbook = (await client.call_tool("get_playbook", {})).structured_content
    assert playbook["run"] == run_id and playbook["bullets"]
    resource = await client.read_resource("ace://playbook")
    assert resource.contents[0].text == playbook["text"]
    used = playbook["bullets"][0]["id"]
    report = {"question": "What is it?", "answer": "that", "correct": False, "bullets": [used], "request_id": "r-1"}
    receipt = (await client.call_tool("report_feedback", report)).structured_content
    assert receipt == {"request_id": "r-1", "pending": 1}
    assert (await client.call_tool("report_feedback", report)).structured_content == receipt  # the same report again
    for wrong, words in (
        ({"question": "q", "answer": "a"}, "nothing is reported"),
        ({"question": "q", "answer": "a", "correct": True, "bullets": ["str-99999"]}, "has no bullet str-99999"),
        ({"question": "q", "answer": "a", "correct": True, "version": 99}, "99"),
        ({**report, "correct": True}, "the first one stands"),
        ({"question": "q", "answer": "a", "score": 2}, "score"),
    ):
        refused = await client.call_tool("report_feedback", wrong)
        assert refused.is_error and words in refused.content[0].text


def check_stored_report(run: str, folder: Path) -> None:
    with RunStore.open(folder / "ace.db", create=False) as store:
        ((exchange, feedback),) = store.pending_feedback(run)
    assert (exchange.question, exchange.answer, feedback.correct) == ("What is it?", "that", False)
    assert "It used the notes" in feedback.text


@pytest.mark.slow
def test_an_agent_over_stdio(finished: str, tmp_path: Path) -> None:
    async def work(client: Any) -> None:
        await check_tools(client, finished)

    talk(stdio(command(tmp_path), os.environ), work)
    check_stored_report(finished, tmp_path)


@pytest.mark.slow
def test_an_agent_over_http(finished: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, *command(tmp_path, "--http", "--port", str(port))])
    try:
        wait_for(port)

        async def work(client: Any) -> None:
            await check_tools(client, finished)

        talk(f"http://127.0.0.1:{port}/mcp", work)
    finally:
        server.terminate()
        server.wait(30)
    check_stored_report(finished, tmp_path)


@pytest.mark.slow
def test_the_curator_learns_from_reports(finished: str, tmp_path: Path) -> None:
    def respond(handler: Handler, body: Body) -> None:
        fields = body["response_format"]["json_schema"]["schema"]["properties"]
        add = {"type": "ADD", "section": "Strategies and hard rules", "content": RULE}
        reflection = {"reasoning": "", "key_insight": RULE, "bullet_tags": []}
        answer = {"reasoning": "", "operations": [add]} if "operations" in fields else reflection
        handler.stream(json.dumps(answer), usage=None)

    async def work(client: Any) -> None:
        await client.call_tool("report_feedback", {"question": "Twice?", "answer": "twice", "expected": "once"})
        learned = (await client.call_tool("learn", {})).structured_content
        assert (learned["used"], learned["pending"]) == (1, 0)
        playbook = (await client.call_tool("get_playbook", {})).structured_content
        assert playbook["version"] == learned["version"] and RULE in playbook["text"]

    with serving(respond) as endpoint:
        config = tmp_path / "learn.yaml"
        config.write_text(
            f"task: {{name: micro, micro: {{seed: 3, terms: 4, modifiers: 3, train: 6, validation: 2, test: 4}}}}\n"
            f"models: {{main: {{provider: openai, model: m, base_url: {endpoint.url!r}}}}}\n"
        )
        arguments = command(tmp_path, "--learn", str(config))
        environment = {**os.environ, "OPENAI_API_KEY": "none"}
        talk(stdio(arguments, environment), work)


@pytest.mark.slow
def test_a_learner_that_fails_says_why(finished: str, tmp_path: Path) -> None:
    config = tmp_path / "learn.yaml"
    config.write_text(
        "task: {name: micro}\nmodels: {main: {provider: openai, model: m, base_url: 'http://127.0.0.1:9/v1'}}\n"
    )

    async def work(client: Any) -> None:
        await client.call_tool("report_feedback", {"question": "Twice?", "answer": "twice", "expected": "once"})
        failed = await client.call_tool("learn", {})
        assert failed.is_error and "127.0.0.1:9" in failed.content[0].text
        again = await client.call_tool("report_feedback", {"question": "Again?", "answer": "a", "correct": False})
        assert again.structured_content["pending"] == 2  # nothing was lost

    arguments = command(tmp_path, "--learn", str(config))
    talk(stdio(arguments, {**os.environ, "OPENAI_API_KEY": "none"}), work)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--http", "--host", "0.0.0.0"], "--host: found '0.0.0.0'"), (["--learn", "missing.yaml"], "missing.yaml")],
)
def test_wrong_options_are_named(finished: str, tmp_path: Path, arguments: list[str], words: str) -> None:
    done = subprocess.run([sys.executable, *command(tmp_path, *arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and words in done.stderr


def wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server did not come up")
