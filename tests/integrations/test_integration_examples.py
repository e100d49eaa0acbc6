"""The examples with other packages run against the real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from endpoint import Body, Handler, serving

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OUTPUTS = {
    "dspy_program.py": ("dspy", "0% -> 100% of the other tickets"),
    "inspect_ai_task.py": ("inspect_ai", "0% -> 100% of the test split"),
    "langchain_agent.py": ("langchain", "reported: 'Where does a lost parcel go?' -> 'X59' with version 1"),
    "verifiers_environment.py": ("verifiers", "0% -> 100% of the test split"),
}
"""Each example, the package that it needs, and a part of its output."""


def run_example(name: str, *arguments: str, folder: Path) -> str:
    environment = {**os.environ, "OPENAI_API_KEY": "none", "DSPY_CACHEDIR": str(folder), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_example_with_another_package(name: str, tmp_path: Path) -> None:
    package, output = OUTPUTS[name]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    assert output in run_example(name, folder=tmp_path)


@pytest.mark.slow
def test_the_openai_example_streams_through_the_client(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    bodies: list[Body] = []

    def respond(handler: Handler, body: Body) -> None:
        bodies.append(body)
        handler.stream("It goes to X59.", usage=None)

    with serving(respond) as endpoint:
        assert "It goes to X59." in run_example("openai_playbook.py", endpoint.url, "desk", folder=tmp_path)
    system, user = bodies[0]["messages"]
    assert system["role"] == "system" and "Tickets about parcels go to X59." in system["content"]
    assert user["content"] == "Where does a ticket about a lost parcel go?"
