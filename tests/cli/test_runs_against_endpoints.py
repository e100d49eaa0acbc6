"""Whole runs against endpoints: each recorded dialect, servers that fail for a while, and what is told of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from ace_command import invoke
from endpoint import Body, Handler, serving
from recorded_endpoint import Recording, playing, recordings

import ace.errors
from ace.store import RunStore

pytest.importorskip("openai")

WHOLE = {"final_answer": "t", "reasoning": "r", "bullet_ids": [], "key_insight": "i", "bullet_tags": []}


def say(body: Body) -> str:
    """A right answer in the form that the role was asked for; one that fits all of them where no schema tells."""
    form = body.get("response_format")
    fields = form["json_schema"]["schema"]["properties"] if form else {**WHOLE, "operations": []}
    whole = {**WHOLE, "operations": []}
    return json.dumps({name: whole.get(name, "") for name in fields})


def right(handler: Handler, body: Body) -> None:
    handler.stream(say(body), usage={"prompt_tokens": 10, "completion_tokens": 5})


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def write(url: str, *, train: int = 1, test: int = 1, model: dict[str, Any] | None = None, **more: Any) -> str:
        for name, size in (("train", train), ("test", test)):
            records = [{"id": f"{name}-{i}", "question": f"{name} {i}?", "target": "t"} for i in range(size)]
            Path(f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        values = {
            "task": {"name": "jsonl", "train": "train.jsonl", "test": "test.jsonl"},
            "models": {
                "main": {"provider": "openai", "model": "m", "base_url": url, "max_retries": 2, **(model or {})}
            },
            "adaptation": {"batch_size": 2, "max_rounds": 1},
            **more,
        }
        Path("config.json").write_text(json.dumps(values))
        return "config.json"

    return write


def summary() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("summary.json").read_text())
    return found


@pytest.mark.parametrize("recording", recordings())
@pytest.mark.slow
def test_a_run_ends_right_or_with_one_clear_error(recording: Recording, config: Callable[..., str]) -> None:
    expected = recording.right
    model = {"max_retries": 0} if "error" in expected else {}
    with serving(playing(recording, say)) as server:
        result = invoke("run", config(server.url, model=model), "--json", "summary.json")
    if "error" not in expected:
        assert result.exit_code == (4 if expected.get("unread") else 0), result.output
        if expected.get("unread"):
            assert f"the server ended the answer with '{expected['detail']}'" in summary()["failures"][0]["error"]
        else:
            assert summary()["accuracy_after"] == 1.0
            assert summary()["failed_samples"] == summary()["parse_failures"] == 0
        return
    error = getattr(ace.errors, expected["error"])
    ends = issubclass(error, ace.errors.ProviderStartError)
    assert result.exit_code == (3 if ends else 4), result.output
    assert expected["words"] in result.output
    assert expected["words"] in (summary()["reason"] if ends else summary()["failures"][0]["error"])
    assert expected["words"] in " ".join(invoke("show").output.split())
    assert "Traceback" not in result.output


def test_a_failure_is_told_when_it_happens_and_counted_everywhere(config: Callable[..., str]) -> None:
    numbers = count()

    def respond(handler: Handler, body: Body) -> None:
        handler.fail(500, f"model requires more system memory (request {next(numbers)})")

    with serving(respond) as server:
        path = config(server.url, train=4, test=2, model={"max_retries": 0})
        result = invoke("run", path, "--json", "summary.json")
    assert result.exit_code == 4
    told = [line for line in result.output.splitlines() if "call failed" in line]
    assert len(told) == 1 and "HTTP 500: model requires more system memory" in told[0]
    (failure,) = summary()["failures"]
    assert failure["count"] == 4 + 2 + 2
    assert "model requires more system memory" in failure["error"]
    for output in (result.output, invoke("show").output):
        assert "8 x TransientError" in output


def test_a_run_that_ends_by_an_error_says_why_afterwards(config: Callable[..., str]) -> None:
    with serving(lambda handler, _: handler.fail(401, "this key is too old")) as server:
        result = invoke("run", config(server.url), "--json", "summary.json")
    assert result.exit_code == 3
    assert "this key is too old" in summary()["reason"] and summary()["status"] == "failed"
    assert "this key is too old" in invoke("show").output


def test_a_spent_account_ends_the_run_after_the_calls_under_way(config: Callable[..., str]) -> None:
    def respond(handler: Handler, body: Body) -> None:
        data = json.dumps({"error": {"message": "no money", "code": "insufficient_quota"}}).encode()
        handler.send_response(429)
        handler.end_headers()
        handler.wfile.write(data)

    with serving(respond) as server:
        result = invoke("run", config(server.url, train=20, test=4))
    assert result.exit_code == 3 and "no money" in result.output
    assert len(server.bodies) <= 4


def test_a_changed_request_is_told_once_and_kept(config: Callable[..., str]) -> None:
    def respond(handler: Handler, body: Body) -> None:
        if "temperature" in body:
            handler.fail(400, "Unsupported parameter: 'temperature' is not supported with this model.")
        else:
            right(handler, body)

    with serving(respond) as server:
        result = invoke("run", config(server.url, train=2), "--json", "summary.json")
    assert result.exit_code == 0
    assert summary()["notes"] == ["m: it refuses temperature, so that its own default holds"]
    assert len([line for line in result.output.splitlines() if line.startswith("note: ")]) == 1
    assert "it refuses temperature" in invoke("show").output


def test_a_token_budget_holds_without_reported_usage(config: Callable[..., str]) -> None:
    with serving(lambda handler, body: handler.stream(say(body))) as server:
        path = config(server.url, train=6, model={"max_concurrency": 1}, budget={"tokens": 40})
        result = invoke("run", path, "--json", "summary.json")
    assert result.exit_code == 5
    assert "tokens are estimates" in result.output and "tokens are estimates" in summary()["reason"]
    assert sum(tokens["estimated"] for tokens in summary()["tokens"].values()) > 40
    assert "which the endpoint did not report" in result.output
    assert len(server.bodies) <= 2


def first_turns(bodies: list[Body]) -> set[str]:
    """The conversations of these requests in which nothing was answered yet."""
    conversations = ([message["role"] for message in body["messages"]] for body in bodies)
    return {
        json.dumps(body["messages"])
        for body, roles in zip(bodies, conversations, strict=True)
        if "assistant" not in roles
    }


GREEDY = {"roles": {role: {"temperature": 0.0} for role in ("generator", "reflector", "curator")}}


@pytest.mark.parametrize("body", ["", "well, well", '{"wrong": 1}', "filtered"])
@pytest.mark.slow
def test_what_could_not_be_read_is_asked_again(body: str, config: Callable[..., str]) -> None:
    def respond(handler: Handler, _: Body) -> None:
        if body == "filtered":
            handler.stream("no", finish="content_filter")
        else:
            handler.stream(body)

    with serving(respond) as server:
        path = config(server.url, train=2, cache="all", **GREEDY)
        assert invoke("run", path).exit_code == 4
        port, unread = server.server_address[1], first_turns(server.bodies)
    with serving(right, port=port) as server:
        assert invoke("run", path, "--json", "summary.json").exit_code == 0
        assert unread and unread <= first_turns(server.bodies)
        assert summary()["accuracy_after"] == 1.0
    with serving(right, port=port) as server:
        assert invoke("run", path).exit_code == 0
        assert len(server.bodies) == 0, "what could be read is not asked again"


@pytest.mark.slow
def test_failed_samples_are_asked_again_and_the_rest_stays(config: Callable[..., str]) -> None:
    def half(handler: Handler, body: Body) -> None:
        text = json.dumps(body["messages"])
        if any(f"{name} {odd}?" in text for name in ("train", "test") for odd in (1, 3)):
            handler.fail(500, "out of luck")
        else:
            right(handler, body)

    with serving(half) as server:
        path = config(server.url, train=4, test=4, model={"max_retries": 0})
        assert invoke("run", path).exit_code == 4
        port = server.server_address[1]
    with RunStore.open("runs/ace.db") as store:
        run = store.list_runs()[0].id
        before = store.outcomes(run)
    assert "--retry-failed" in invoke("resume", "latest").output
    with serving(right, port=port) as server:
        result = invoke("resume", "latest", "--retry-failed", "--json", "summary.json")
        assert result.exit_code == 0, result.output
        asked = {
            f"{name} {i}?"
            for body in server.bodies
            for name in ("train", "test")
            for i in range(4)
            if f"{name} {i}?" in json.dumps(body["messages"])
        }
        assert asked == {"train 1?", "train 3?", "test 1?", "test 3?"}
    assert summary()["failed_samples"] == 0 and summary()["failures"] == []
    assert summary()["samples"] == 4 and summary()["accuracy_after"] == 1.0
    with RunStore.open("runs/ace.db") as store:
        after = store.outcomes(run)
        assert [
            outcome for outcome in after if outcome.retried_in is None and outcome.sample_id in ("train-0", "train-2")
        ] == [outcome for outcome in before if outcome.status == "scored"]
        assert {e.label: (e.correct, e.failed, e.n) for e in store.evaluations(run)} == {
            "before": (4, 0, 4),
            "after": (4, 0, 4),
        }
    assert "none of its samples failed" in invoke("resume", "latest", "--retry-failed").output


def test_samples_that_fail_again_can_be_asked_once_more(config: Callable[..., str]) -> None:
    with serving(lambda handler, _: handler.fail(500)) as server:
        path = config(server.url, train=2, model={"max_retries": 0}, evaluation={"before": False, "after": False})
        assert invoke("run", path).exit_code == 4
        assert invoke("resume", "latest", "--retry-failed", "--json", "summary.json").exit_code == 4
        assert summary()["failed_samples"] == summary()["samples"] == 2
        port = server.server_address[1]
    with serving(right, port=port):
        assert invoke("resume", "latest", "--retry-failed", "--json", "summary.json").exit_code == 0
    assert summary()["failed_samples"] == 0 and summary()["samples"] == 2


def test_an_evaluation_of_a_run_can_be_asked_again(config: Callable[..., str]) -> None:
    with serving(right) as server:
        path = config(server.url, train=2, test=3, model={"max_retries": 0})
        assert invoke("run", path).exit_code == 0
        port = server.server_address[1]
    with serving(lambda handler, _: handler.fail(500), port=port):
        assert invoke("eval", "latest", "--set", "cache=none").exit_code == 4
    with serving(right, port=port) as server:
        result = invoke("resume", "latest", "--retry-failed", "--json", "summary.json")
        assert result.exit_code == 0, result.output
        assert len(server.bodies) == 3
    assert summary()["accuracy_after"] == 1.0 and summary()["failed_samples"] == 0
