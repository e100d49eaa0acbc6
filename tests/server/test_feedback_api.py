"""POST /v1/feedback: durable before it is confirmed, stored once, and learned from by a worker of its own."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from endpoint import Body, Handler
from endpoint import serving as endpoint_of
from micro_runs import role_of, settings

from ace.engine import run as run_settings
from ace.engine.client_feedback import learn_from_feedback
from ace.errors import ConfigError, TransientError
from ace.inference import ScriptedBackend
from ace.store import RunStore
from ace.tasks.micro.scripted_model import ScriptedMicroModel
from ace.types import Message, Request

pytest.importorskip("openai")
pytest.importorskip("aiohttp")
pytest.importorskip("fastapi")

from serving import make_run, serving

REPOSITORY = Path(__file__).parents[2]


def answer(handler: Handler, body: Body) -> None:
    if body.get("stream"):
        handler.stream("The", " answer")
        return
    choice = {"index": 0, "message": {"role": "assistant", "content": "The answer"}, "finish_reason": "stop"}
    handler.reply({"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ace.db"


@pytest.fixture
def run(url: str) -> str:
    return make_run(url)


@pytest.fixture
def address(url: str, run: str) -> Iterator[str]:
    with endpoint_of(answer) as endpoint, serving(url, run, endpoint.url) as address:
        yield address


def ask(address: str, run: str, question: str = "Why?", **more: Any) -> str:
    """Ask, read the whole answer, and return the request's id."""
    body = {"model": f"ace/{run}", "messages": [{"role": "user", "content": question}], **more}
    response = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=30)
    assert response.status_code == 200, response.text
    return response.headers["x-request-id"]


def report(address: str, request_id: str, **outcome: Any) -> httpx.Response:
    return httpx.post(f"{address}/v1/feedback", json={"request_id": request_id, **outcome}, timeout=30)


@pytest.mark.parametrize("stream", [False, True])
def test_feedback_is_pending_with_the_question_and_the_answer(url: str, run: str, address: str, stream: bool) -> None:
    request_id = ask(address, run, stream=stream)
    outcome = {"correct": False, "text": "too vague", "expected": "Because."}
    for _ in range(2):
        response = report(address, request_id, **outcome)
        assert (response.status_code, response.json()["status"]) == (200, "stored")
    with RunStore.open(url) as store:
        ((exchange, feedback),) = store.pending_feedback(run)
    assert (exchange.question, exchange.answer, exchange.version) == ("Why?", "The answer", 2)
    assert (feedback.correct, feedback.text, feedback.expected) == (False, "too vague", "Because.")


def test_refusals_name_the_field(run: str, address: str) -> None:
    request_id = ask(address, run)
    assert report(address, request_id, correct=True).status_code == 200
    cases = {
        409: report(address, request_id, correct=False),
        404: report(address, "nobody", correct=True),
        400: report(address, request_id, score=1.5),
    }
    for status, response in cases.items():
        assert response.status_code == status
        assert response.json()["error"]["param"] == ("score" if status == 400 else "request_id")
    assert "at least one of" in report(address, request_id).json()["error"]["message"]
    assert report(address, request_id, correct="yes").status_code == 400


def test_feedback_on_an_answer_from_elsewhere_brings_it_along(url: str, run: str, address: str) -> None:
    assert report(address, "mine-1", score=0.2, question="Q?", answer="A").status_code == 200
    with RunStore.open(url) as store:
        ((exchange, feedback),) = store.pending_feedback(run)
    assert (exchange.question, exchange.answer, feedback.score) == ("Q?", "A", 0.2)


@contextmanager
def serve_process(url: str, run: str, upstream: str, port: int, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`ace serve` as a user starts it, ready for requests."""
    command = [sys.executable, "-m", "ace", "serve", run, "--store", url, "--port", str(port), *more]
    model = ["--set", "models.main.provider=openai", "--set", f"models.main.base_url={upstream}"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "OPENAI_API_KEY": "none"}
    process = subprocess.Popen([*command, *model], env=environment, stderr=subprocess.PIPE)
    try:
        while process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    break
            time.sleep(0.05)
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        yield process
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_confirmed_feedback_survives_kill_9_under_load(url: str, run: str) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    confirmed: list[str] = []
    killed = threading.Event()

    def work(number: int) -> None:
        for turn in itertools.count():
            try:
                request_id = ask(address, run, f"question {number}-{turn}")
                if report(address, request_id, correct=False, text=f"{number}-{turn}").status_code == 200:
                    confirmed.append(request_id)
            except httpx.TransportError:
                if killed.is_set():
                    return

    with endpoint_of(answer) as endpoint, serve_process(url, run, endpoint.url, port) as process:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        while len(confirmed) < 60 and process.poll() is None:
            time.sleep(0.01)
        killed.set()
        process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join()
    with RunStore.open(url) as store:
        stored = {feedback.request_id for _, feedback in store.pending_feedback(run)}
    assert len(confirmed) >= 60
    assert set(confirmed) <= stored


@pytest.mark.slow
def test_sigterm_lets_answers_under_way_finish(url: str, run: str) -> None:
    port = free_port()
    arrived, go_on = threading.Event(), threading.Event()

    def slow(handler: Handler, body: Body) -> None:
        arrived.set()
        go_on.wait(30)
        answer(handler, body)

    with endpoint_of(slow) as endpoint, serve_process(url, run, endpoint.url, port) as process:
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(ask(f"http://127.0.0.1:{port}", run)))
        asking.start()
        arrived.wait(30)
        process.send_signal(signal.SIGTERM)
        while True:  # no new connection is taken
            try:
                httpx.get(f"http://127.0.0.1:{port}/readyz")
            except httpx.TransportError:
                break
        go_on.set()
        asking.join()
        assert process.wait(30) == 0
        assert len(answers) == 1


def learned_run(folder: Path) -> tuple[Any, str]:
    """A finished run on the micro world that saw none of its rules, and its settings."""
    chosen = settings(folder, adaptation__method="empty", evaluation__before=False, evaluation__after=False)
    summary = asyncio.run(run_settings(chosen, backends={"main": ScriptedBackend(ScriptedMicroModel())}))
    return settings(folder, evaluation__before=False), summary.run


def reflecting(request: Request) -> str:
    """Reflects and curates: the insight is what the feedback expects."""
    text = "\n".join(message.content for message in request.messages)
    if role_of(request) == "reflector":
        word = text.rpartition("EXPECTED-")[2].split()[0]
        return json.dumps({"key_insight": f"say {word}", "bullet_tags": []})
    return json.dumps({"operations": [{"type": "ADD", "section": "rules", "content": "say better words"}]})


def test_the_worker_learns_from_feedback_and_only_once(tmp_path: Path) -> None:
    chosen, run = learned_run(tmp_path)
    url = f"sqlite:///{tmp_path}/ace.db"
    with endpoint_of(answer) as endpoint, serving(url, run, endpoint.url) as address:
        wrong, right = ask(address, run), ask(address, run)
        report(address, wrong, correct=False, text="EXPECTED-yes ")
        report(address, right, correct=True)
    backends = {"main": ScriptedBackend(reflecting)}
    assert asyncio.run(learn_from_feedback(chosen, run, once=True, backends=backends)) == 2
    with RunStore.open(url) as store:
        assert [bullet.content for bullet in store.playbook(run).bullets] == ["say better words"]
        assert store.pending_feedback(run) == ()
        outcomes = {outcome.sample_id: outcome.correct for outcome in store.outcomes(run)}
        assert store.run(run).status == "done"
    assert outcomes == {wrong: False, right: True}
    assert asyncio.run(learn_from_feedback(chosen, run, once=True, backends=backends)) == 0


def test_feedback_stays_pending_while_the_model_is_away(tmp_path: Path) -> None:
    chosen, run = learned_run(tmp_path)
    url = f"sqlite:///{tmp_path}/ace.db"
    with endpoint_of(answer) as endpoint, serving(url, run, endpoint.url) as address:
        report(address, ask(address, run), correct=False)

    def away(request: Request) -> str:
        raise TransientError("nobody there")

    with pytest.raises(TransientError):
        asyncio.run(learn_from_feedback(chosen, run, once=True, backends={"main": ScriptedBackend(away)}))
    with RunStore.open(url) as store:
        assert len(store.pending_feedback(run)) == 1


def test_a_run_that_is_not_done_is_no_run_to_learn_for(tmp_path: Path) -> None:
    chosen, run = learned_run(tmp_path)
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db") as store:
        store.acquire(run)
    with pytest.raises(ConfigError, match="a run that is done; this one is running"):
        asyncio.run(learn_from_feedback(chosen, run, once=True, backends={"main": ScriptedBackend(reflecting)}))


@pytest.mark.slow
def test_a_server_that_learns_serves_what_it_learned(tmp_path: Path) -> None:
    chosen, run = learned_run(tmp_path)
    url = f"sqlite:///{tmp_path}/ace.db"
    port = free_port()
    address = f"http://127.0.0.1:{port}"

    def play(handler: Handler, body: Body) -> None:
        messages = tuple(Message(message["role"], message["content"]) for message in body["messages"])
        if len(messages) > 1 and messages[-1].content != "Why?":
            handler.stream(reflecting(Request(messages)))
        else:
            answer(handler, body)

    with endpoint_of(play) as endpoint:
        config = tmp_path / "learn.yaml"
        values = chosen.model_dump(mode="json")
        values["models"]["main"] |= {"provider": "openai", "base_url": endpoint.url}
        config.write_text(yaml.safe_dump(values))
        with serve_process(url, run, endpoint.url, port, "--learn", str(config)) as process:
            for _ in range(values["adaptation"]["batch_size"]):
                report(address, ask(address, run), correct=False, text="EXPECTED-yes ")
            while len(httpx.get(f"{address}/v1/models").json()["data"]) < 3 and process.poll() is None:
                time.sleep(0.1)
            ask(address, run)
            assert "say better words" in endpoint.bodies[-1]["messages"][0]["content"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    with RunStore.open(url) as store:
        assert store.pending_feedback(run) == ()
        assert store.run(run).owner is None  # the worker is gone, too
