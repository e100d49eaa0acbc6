"""The AppWorld adapter against a server that speaks as `appworld serve environment` does.

The real package and its data cannot be installed beside ours; what is tested is what goes over the wire.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, settings

from ace.config import TaskSettings
from ace.engine import run
from ace.errors import DataError, ProviderStartError
from ace.inference import ScriptedBackend
from ace.tasks import InstructedTask, InteractiveTask, load_task
from ace.types import Request

SUPERVISOR = {"first_name": "Ida", "last_name": "Voss", "email": "ida@example.com", "phone_number": "5550100"}


class World(BaseHTTPRequestHandler):
    """One world at a time: it is done when complete_task is called, and passes one test of two without an answer."""

    server: Server

    def do_GET(self) -> None:
        task = self.path.rpartition("/")[2]
        self._say({"instruction": f"Count the songs of {task}.", "supervisor": SUPERVISOR, "datetime": "2023-05-18"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method, server = self.path.strip("/"), self.server
        with server.lock:
            server.seen.append((method, body))
            if method == "initialize":
                if server.task is not None:
                    server.clashes += 1
                server.task, server.done, server.answered = body["task_id"], False, False
                self._say({"task_id": body["task_id"]})
            elif method == "execute":
                if "complete_task" in body["code"]:
                    server.done, server.answered = True, "answer=" in body["code"]
                self._say("Execution failed. Traceback" if "boom" in body["code"] else "")
            elif method == "task_completed":
                self._say(server.done)
            elif method == "evaluate":
                tests = [{"requirement": "it is completed"}, {"requirement": "the answer is 7"}]
                passed = tests if server.answered else tests[:1]
                rest = [test for test in tests if test not in passed]
                self._say({"success": not rest, "num_tests": 2, "passes": passed, "failures": rest})
            else:
                server.task = None
                self._say(None)

    def _say(self, output: Any) -> None:
        data = json.dumps({"output": output}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), World)
        self.lock = threading.Lock()
        self.seen: list[tuple[str, Any]] = []
        self.task: str | None = None
        self.done = self.answered = False
        self.clashes = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    found = [Server(), Server()]
    for server in found:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield found
    for server in found:
        server.shutdown()
        server.server_close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "datasets"
    folder.mkdir(parents=True)
    for name, ids in (("train", "a1_1 a1_2 a1_3"), ("dev", ""), ("test_normal", "b1_1 b1_2")):
        (folder / f"{name}.txt").write_text("\n".join(ids.split()))
    return tmp_path


def appworld(root: Path, servers: list[Server], **more: Any) -> dict[str, Any]:
    return {"name": "appworld", "appworld": {"root": str(root), "servers": [s.url for s in servers], **more}}


def test_instructions_come_from_the_server(root: Path, servers: list[Server]) -> None:
    task = load_task(TaskSettings.model_validate(appworld(root, servers)))
    assert isinstance(task, InteractiveTask) and isinstance(task, InstructedTask)
    assert [len(task.splits.train), len(task.splits.validation), len(task.splits.test)] == [3, 0, 2]
    question, context = task.prompt(task.splits.train[0])
    assert question == "Count the songs of a1_1."
    assert "You act for Ida Voss (ida@example.com, 5550100)" in context
    assert "apis.supervisor.complete_task()" in task.instructions


@pytest.mark.slow
def test_a_run_acts_in_the_worlds(root: Path, servers: list[Server]) -> None:
    def act(request: Request) -> str:
        user = request.messages[-1].content
        if "You are the REFLECTOR" in user:
            return json.dumps({"reasoning": "r", "key_insight": "give the answer", "bullet_tags": []})
        if "You are the CURATOR" in user:
            return json.dumps({"reasoning": "r", "operations": []})
        given = "answer=7" if "<reflection>" in user else ""
        code = f"```python\napis.supervisor.complete_task({given})\n```" if "Step 1:" in user else "print('boom')"
        return json.dumps({"reasoning": "r", "bullet_ids": [], "final_answer": code})

    values = {"task": appworld(root, servers), "prompts": "standard-1", "adaptation__max_rounds": 1}
    summary = asyncio.run(run(settings(root, **values), backends=all_roles(ScriptedBackend(act))))
    assert (summary.accuracy_after, summary.failed_samples, summary.stops) == (0.0, 0, {"right": 3})
    for server in servers:
        methods = [method for method, _ in server.seen]
        assert methods.count("initialize") == methods.count("close") > 0
        assert server.clashes == 0
        assert server.task is None
    codes = {body["code"] for server in servers for method, body in server.seen if method == "execute"}
    assert "apis.supervisor.complete_task(answer=7)\n" in codes


def test_no_server(root: Path, servers: list[Server]) -> None:
    dead = {"name": "appworld", "appworld": {"root": str(root), "servers": ["http://127.0.0.1:9"], "timeout_s": 2}}
    with pytest.raises(ProviderStartError, match="appworld serve environment"):
        load_task(TaskSettings.model_validate(dead))


def test_no_data(tmp_path: Path, servers: list[Server]) -> None:
    with pytest.raises(DataError, match="appworld download data"):
        load_task(TaskSettings.model_validate(appworld(tmp_path, servers)))
