"""Environments of verifiers and tasks of inspect_ai as tasks, with the real packages."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

import ace
from ace.config import TaskSettings
from ace.errors import ConfigError, ProviderMissingError
from ace.tasks import InteractiveTask, load_task
from ace.types import Request

GUESSING = '''
import verifiers as vf
from datasets import Dataset

class Guessing(vf.MultiTurnEnv):
    """Says higher or lower until the number is guessed."""

    async def env_response(self, messages, state, **kwargs):
        guess = int(messages[-1]["content"])
        number = int(state["answer"])
        state["found"] = guess == number
        if guess == number:
            state["final_env_response"] = [{"role": "user", "content": "found"}]
            return state["final_env_response"]
        return [{"role": "user", "content": "higher" if guess < number else "lower"}]

def found(state):
    return float(state.get("found", False))

def load_environment(largest=8, tools=False):
    rows = [{"question": f"Guess, game {n}.", "answer": str(n)} for n in range(1, largest + 1)]
    if tools:
        def look(name: str) -> str:
            """Looks something up."""
            return name
        return vf.ToolEnv(tools=[look], dataset=Dataset.from_list(rows), rubric=vf.Rubric(funcs=[found]))
    return Guessing(
        dataset=Dataset.from_list(rows[2:]), eval_dataset=Dataset.from_list(rows[:2]), max_turns=6,
        system_prompt="Guess a number from 1 to 8.", rubric=vf.Rubric(funcs=[found]),
    )
'''

INSPECT = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import choice, includes
from inspect_ai.solver import generate, multiple_choice, self_critique, solver, system_message

@task
def colours(word="sky"):
    samples = [Sample(input=f"Which colour has the {word} {n}?", choices=["red", "blue"], target="B") for n in range(4)]
    return Task(dataset=samples, solver=multiple_choice(), scorer=choice())

@solver
def ask_twice():
    async def solve(state, generate):
        state = await generate(state)
        from inspect_ai.model import ChatMessageUser
        state.messages.append(ChatMessageUser(content="Are you sure?"))
        return await generate(state)
    return solve

@task
def twice():
    samples = [Sample(input=f"Say blue, time {n}.", target="blue") for n in range(4)]
    return Task(dataset=samples, solver=[system_message("Answer shortly."), ask_twice()], scorer=includes())

@task
def boxed():
    return Task(dataset=[Sample(input="x", target="y", sandbox="docker")], scorer=includes())
"""


def guess(request: Request) -> str:
    """Guesses by halves, from what the environment said."""
    fields = set(request.schema["properties"]) if request.schema else set()
    if "final_answer" not in fields:
        return json.dumps({"reasoning": "", "key_insight": "Halve.", "operations": [], "bullet_tags": []})
    text = request.messages[-1].content
    low, high = 1, 8
    for number in range(1, 7):
        guessed = (low + high) // 2
        if f"Step {number}:" not in text:
            break
        step = text.split(f"Step {number}:")[1]
        low, high = (guessed + 1, high) if "higher" in step.split("Step")[0] else (low, guessed - 1)
    return json.dumps({"reasoning": "", "bullet_ids": [], "final_answer": str(guessed)})


@pytest.fixture
def guessing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip("verifiers")
    (tmp_path / "guessing_game.py").write_text(GUESSING)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    sys.modules.pop("guessing_game", None)
    return "guessing-game"


def test_an_environment_of_several_turns_is_played(guessing: str, tmp_path: Path) -> None:
    settings = ace.settings_from(
        {
            "task": {"name": "verifiers", "path": guessing, "limit": 4},
            "models": {"main": {"provider": "scripted", "model": "script"}},
            "store": f"sqlite:///{tmp_path}/ace.db",
            "mode": "evaluate",
        }
    )
    backend = ace.ScriptedBackend(guess)
    summary = asyncio.run(ace.run(settings, backends={"main": backend}))
    assert summary.accuracy_after == 1.0
    assert backend.requests[0].messages[0].content.startswith("Guess a number from 1 to 8.")
    assert any("The world:\nlower" in request.messages[-1].content for request in backend.requests)


def test_an_environment_keeps_its_splits_and_targets(guessing: str) -> None:
    task = load_task(TaskSettings(name="verifiers", path=guessing))
    assert isinstance(task, InteractiveTask) and task.max_steps == 6
    assert [sample.target for sample in task.splits.test] == ["1", "2"]
    assert len(task.splits.train) + len(task.splits.validation) == 6
    assert {sample.question for sample in task.splits.test} == {"Guess, game 1.", "Guess, game 2."}


def test_what_an_environment_cannot_be_is_said(guessing: str) -> None:
    with pytest.raises(ConfigError, match=r"task.path.*without tools"):
        load_task(TaskSettings(name="verifiers", path=guessing, arguments={"tools": True}))
    with pytest.raises(ConfigError, match=r"cannot be loaded.*wrong"):
        load_task(TaskSettings(name="verifiers", path=guessing, arguments={"wrong": 1}))
    with pytest.raises(ConfigError, match="'no-such-thing' cannot be loaded"):
        load_task(TaskSettings(name="verifiers", path="no-such-thing"))


@pytest.fixture
def inspect_file(tmp_path: Path) -> str:
    pytest.importorskip("inspect_ai")
    file = tmp_path / "colours.py"
    file.write_text(INSPECT)
    return str(file)


def test_a_task_of_one_step_has_its_solvers_prompt_and_its_scorer(inspect_file: str) -> None:
    settings = TaskSettings(name="inspect", path=f"{inspect_file}@colours", arguments={"word": "sea"})
    task = load_task(settings)
    (sample,) = task.splits.test
    assert "Which colour has the sea" in sample.question and "B) blue" in sample.question
    assert task.grade(sample, "ANSWER: B").correct
    wrong = task.grade(sample, "ANSWER: A")
    assert (wrong.correct, wrong.value) == (False, 0.0) and "expected B" in wrong.feedback
    assert not isinstance(task, InteractiveTask)


def test_a_solver_that_asks_again_is_a_task_of_several_steps(inspect_file: str) -> None:
    task = load_task(TaskSettings(name="inspect", path=f"{inspect_file}@twice"))
    assert isinstance(task, InteractiveTask)
    sample = task.splits.train[0]
    world = task.open(sample)
    assert world.step("green").text == "Are you sure?"
    assert world.step("No: blue.").text == "done"
    assert world.grade().correct
    world.close()
    assert getattr(task, "instructions", "") == "Answer shortly."


def test_what_an_inspect_task_cannot_be_is_said(inspect_file: str) -> None:
    with pytest.raises(ConfigError, match="without a sandbox"):
        load_task(TaskSettings(name="inspect", path=f"{inspect_file}@boxed"))
    with pytest.raises(ConfigError, match=r"task.path"):
        load_task(TaskSettings(name="inspect", path=f"{inspect_file}@missing"))


@pytest.mark.parametrize(("name", "package"), [("verifiers", "verifiers"), ("inspect", "inspect_ai")])
def test_a_missing_package_is_named(name: str, package: str) -> None:
    try:
        __import__(package)
    except ImportError:
        with pytest.raises(ProviderMissingError, match=rf"task '{name}' needs the package '{package}'"):
            load_task(TaskSettings(name=name, path="anything"))  # type: ignore[arg-type]
    else:
        pytest.skip(f"{package} is installed")


def test_a_path_is_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"task\.path"):
        load_task(TaskSettings(name="verifiers"))
