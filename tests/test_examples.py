"""Every file in examples/ runs, and prints what it says that it prints."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from endpoint import Body, Handler, serving

from ace import Message, Request

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ALONE = {
    "own_task_csv.py": "0% -> 100% of the test split",
    "own_task_python.py": "0% -> 100% of the test split",
    "llm_client.py": "3 calls, 12 prompt tokens",
    "compare_runs.py": "of 64 samples",
}
"""The examples that need neither an engine nor an endpoint, and a part of their output."""
HELPERS = {"scripted_desk.py"}
WITH_PACKAGES = {
    "dspy_program.py",
    "inspect_ai_task.py",
    "langchain_agent.py",
    "openai_playbook.py",
    "verifiers_environment.py",
}
"""Examples with other packages: `tests/integrations/test_integration_examples.py` runs them."""


def run_example(name: str, *arguments: str, folder: Path) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "OPENAI_API_KEY": ""}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    tested = {*ALONE, *HELPERS, *WITH_PACKAGES, "run_micro_world.py", "openai_endpoint.py"}
    assert {file.name for file in EXAMPLES.glob("*.py")} == tested


@pytest.mark.parametrize("name", ALONE)
def test_an_example_without_an_engine(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: tests/packaging runs the examples as programs, with the wheel."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert ALONE[name] in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_endpoint_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from scripted_desk import answer

    def respond(handler: Handler, body: Body) -> None:
        messages = tuple(Message(turn["role"], turn["content"]) for turn in body["messages"])
        schema = body["response_format"]["json_schema"]["schema"]
        handler.stream(answer(Request(messages, schema=schema)), usage=None)

    with serving(respond) as endpoint:
        output = run_example("openai_endpoint.py", endpoint.url, "desk", folder=tmp_path)
    assert "0% -> 100% of the test split" in output
    assert "0 failed samples" in output


@pytest.mark.engine
def test_the_quickstart_example(tmp_path: Path) -> None:
    assert "0% -> " in run_example("run_micro_world.py", folder=tmp_path)
