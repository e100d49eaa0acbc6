"""Label-free means label-free: nothing that came from a target is in a prompt, or decides what is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, settings

from ace.engine import RunSummary, run
from ace.engine.feedback.feedback import NO_FEEDBACK
from ace.inference import ScriptedBackend
from ace.store import RunStore
from ace.types import Request

CANARY = "kq7canary"
FILE = """
from ace.tasks import Splits
from ace.types import Observation, Sample, Score

def samples(split, count):
    return tuple(Sample(f"{split}-{i}", f"Question {split} {i}?", target=f"kq7canary-target-{i}") for i in range(count))

class Task:
    name = "canary"
    splits = Splits(samples("train", 6), samples("validation", 2), samples("test", 2))

    def prompt(self, sample):
        return f"{sample.question} {sample.target or ''}", f"context {sample.target or ''}"

    def grade(self, sample, answer):
        right = answer == sample.target
        return Score(float(right), right, f"kq7canary-verdict: {'right' if right else 'wrong'}, {sample.target}")
"""
OBSERVING = """
class Watched(Task):
    def observe(self, sample, answer):
        assert sample.target is None
        return Observation(f"ran with exit code {len(answer) % 2}", failed={failed})

def make():
    return Watched()
"""
HALF_FAILED = OBSERVING.replace("{failed}", "bool(len(answer) % 2)")


@dataclass
class Student:
    """Answers what `answer` says; reflects; and adds a bullet with what the reflector was shown."""

    answer: Callable[[int], str]
    asked: int = 0

    def __call__(self, request: Request) -> str:
        assert request.schema is not None
        fields = request.schema["properties"]
        if "final_answer" in fields:
            self.asked += 1
            return json.dumps({"reasoning": "r", "bullet_ids": [], "final_answer": self.answer(self.asked)})
        user = request.messages[-1].content
        if "key_insight" in fields:
            return json.dumps({"reasoning": "r", "key_insight": f"heard: {user[:300]}", "bullet_tags": []})
        operations = [{"type": "ADD", "reason": "", "section": "str", "content": user[:200]}]
        return json.dumps({"reasoning": "r", "operations": operations})


def learn(
    folder: Path, answer: Callable[[int], str], *, observing: str = "", **changes: Any
) -> tuple[list[Request], RunSummary, RunStore]:
    file = folder / "canary.py"
    file.write_text(FILE + (observing or "\ndef make():\n    return Task()\n"))
    task = {"name": "python", "path": f"{file}:make"}
    backend = ScriptedBackend(Student(answer))
    values = {"task": task, "prompts": "standard", "adaptation__labels": "none", **changes}
    summary = asyncio.run(run(settings(folder, **values), backends=all_roles(backend)))
    return backend.requests, summary, RunStore.open(f"sqlite:///{folder}/ace.db", create=False)


def everything(requests: list[Request]) -> str:
    return "\n".join(message.content for request in requests for message in request.messages)


def of(role: str, requests: list[Request]) -> list[str]:
    field = {"generator": "final_answer", "reflector": "key_insight", "curator": "operations"}[role]
    return [r.messages[-1].content for r in requests if r.schema is not None and field in r.schema["properties"]]


@pytest.mark.parametrize(
    ("mode", "policy", "observing"),  # each pair of values once
    [
        ("offline", "warn", ""),
        ("offline", "quarantine", HALF_FAILED),
        ("online", "warn", HALF_FAILED),
        ("online", "quarantine", ""),
    ],
)
def test_no_canary_in_any_request(tmp_path: Path, mode: str, policy: str, observing: str) -> None:
    changes = {"mode": mode, "adaptation__epochs": 2 if mode == "offline" else 1, "playbook__guard__policy": policy}
    requests, summary, store = learn(tmp_path, lambda asked: "no" * (asked % 3), observing=observing, **changes)
    with store:
        assert CANARY not in everything(requests)
        assert CANARY not in json.dumps(store.playbook(summary.run).to_json())
        assert len(store.playbook(summary.run)) > 0
        assert {outcome.correct for outcome in store.outcomes(summary.run)} == {False}  # graded, for the report
    assert min(len(of(role, requests)) for role in ("generator", "reflector", "curator")) > 3


def test_the_canary_is_seen_where_labels_are_given(tmp_path: Path) -> None:
    requests, _, store = learn(tmp_path, lambda asked: "no", adaptation__labels="given")
    store.close()
    assert all("kq7canary-verdict: wrong" in prompt for prompt in of("reflector", requests))
    assert not any(CANARY in prompt for prompt in of("generator", requests)[:2])  # prompt() never sees a target


def test_right_and_wrong_answers_are_treated_alike(tmp_path: Path) -> None:
    def work(answer: Callable[[int], str]) -> list[str]:
        folder = tmp_path / answer(1)
        folder.mkdir()
        requests, _, store = learn(folder, answer, adaptation__shuffle=False, adaptation__batch_size=1)
        store.close()
        return [prompt.replace(answer(1), "ANSWER") for prompt in of("reflector", requests)]

    right, wrong = work(lambda asked: "kq7canary-target-0"), work(lambda asked: "kq7wrong")
    assert len(right) == len(wrong) == 6  # one reflection for each sample and no retry
    assert right[0] == wrong[0]
    assert NO_FEEDBACK in right[0]


@pytest.mark.parametrize(("failed", "reflections"), [("True", 3 * 6), ("False", 6), ("None", 6)])
def test_what_the_task_observes_decides_on_retries(tmp_path: Path, failed: str, reflections: int) -> None:
    requests, _, store = learn(
        tmp_path, lambda asked: "no", observing=OBSERVING.replace("{failed}", failed), adaptation__max_rounds=3
    )
    store.close()
    prompts = of("reflector", requests)
    assert len(prompts) == reflections
    assert all("ran with exit code 0" in prompt for prompt in prompts)


def test_without_labels_no_grade_chooses_among_playbooks(tmp_path: Path) -> None:
    _, summary, store = learn(tmp_path, lambda asked: "no", adaptation__epochs=2)
    with store:
        assert {known.label for known in store.evaluations(summary.run)} == {"before", "after"}
        assert store.run(summary.run).best_version == store.playbook(summary.run).version
