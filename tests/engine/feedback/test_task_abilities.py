"""What tasks can do beyond a grade: several steps in a world, schemas for answers, numbers of their own."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, settings

from ace.engine import RunSummary, run
from ace.errors import TaskError
from ace.inference import ScriptedBackend
from ace.store import RunStore
from ace.types import Request

STAIRS = """
import threading

from ace.errors import TransientError
from ace.tasks import Splits
from ace.types import Observation, Sample, Score

OPEN = []
MOST = [0]
LOCK = threading.Lock()


def samples(split, count):
    return tuple(Sample(f"{split}-{n}", f"Climb to step {n + 2} ({split}).", str(n + 2)) for n in range(count))


class Stairs:
    def __init__(self, sample):
        self.goal, self.at, self.done = int(sample.target), 0, False
        with LOCK:
            OPEN.append(self)
            MOST[0] = max(MOST[0], len(OPEN))

    def step(self, action):
        if action == "stumble":
            raise TransientError("the stairs broke")
        if action == "up":
            self.at += 1
        self.done = action == "stay"
        return Observation(f"you stand on step {self.at}")

    def grade(self):
        right = self.at == self.goal
        return Score(1.0 / (1 + abs(self.goal - self.at)), right, "arrived" if right else f"the goal was {self.goal}")

    def close(self):
        with LOCK:
            OPEN.remove(self)


class Task:
    name = "stairs"
    splits = Splits(samples("train", 4), (), samples("test", 3))
    max_steps = 6
    worlds = 2

    def prompt(self, sample):
        assert sample.target is None
        return sample.question, "Say up or stay."

    def grade(self, sample, answer):
        raise AssertionError("worlds grade, answers do not")

    def open(self, sample):
        return Stairs(sample)


def make():
    return Task()
"""


def go(folder: Path, source: str, answers: Any, **changes: Any) -> tuple[RunSummary, ScriptedBackend, RunStore]:
    file = folder / "own_task.py"
    file.write_text(source)
    backend = ScriptedBackend(answers)
    values = {"task": {"name": "python", "path": f"{file}:make"}, "prompts": "standard-1", **changes}
    summary = asyncio.run(run(settings(folder, **values), backends=all_roles(backend)))
    return summary, backend, RunStore.open(f"sqlite:///{folder}/ace.db", create=False)


def role(request: Request) -> str:
    return request.messages[-1].content.split("You are the ")[1].split(".")[0].lower()


def answer(text: str) -> str:
    return json.dumps({"reasoning": "r", "bullet_ids": [], "final_answer": text})


def nothing_learned(request: Request) -> str:
    if role(request) == "reflector":
        return json.dumps({"reasoning": "r", "key_insight": "think again", "bullet_tags": []})
    return json.dumps({"reasoning": "r", "operations": []})


def climb(request: Request) -> str:
    """Up until the goal is reached, then stay; one sample too low, as long as no reflection says otherwise."""
    if role(request) != "generator":
        return json.dumps({"reasoning": "r", "key_insight": "go on", "bullet_tags": [], "operations": []})
    user = request.messages[-1].content
    goal = re.search(r"Climb to step (\d+)", user)
    assert goal is not None
    wanted = int(goal.group(1)) - ("<reflection>" not in user and "train" in user)
    return answer("up" if user.count("\nup\n") < wanted else "stay")


class TestSteps:
    def test_each_answer_is_an_action_and_the_world_grades(self, tmp_path: Path) -> None:
        summary, _, store = go(tmp_path, STAIRS, climb, adaptation__validate_each_epoch=False)
        assert (summary.accuracy_after, summary.failed_samples) == (1.0, 0)
        with store:
            outcomes = store.outcomes(summary.run)
            calls = [call for call in store.calls(summary.run) if call.sample_id == "train-0"]
        assert all(outcome.first_correct is False and outcome.correct for outcome in outcomes)
        assert outcomes[0].answer.startswith("Step 1:\nup\nThe world:\nyou stand on step 1")
        # Goal 2: up, stay (one too low); a reflection; up, up, stay.
        assert [call.role for call in calls] == ["generator"] * 2 + ["reflector"] + ["generator"] * 3

    def test_what_was_done_extends_the_prompt(self, tmp_path: Path) -> None:
        _, backend, store = go(tmp_path, STAIRS, climb)
        store.close()
        asked = [request.messages[-1].content for request in backend.requests if role(request) == "generator"]
        steps = [text for text in asked if "step 4 (test)" in text]
        shown = [text.partition("</context>")[0] for text in dict.fromkeys(steps)]
        assert len(shown) == 5
        for before, after in itertools.pairwise(shown):
            assert after.startswith(before.rstrip())

    def test_the_reflector_sees_all_of_it(self, tmp_path: Path) -> None:
        _, backend, store = go(tmp_path, STAIRS, climb)
        store.close()
        asked = [request.messages[-1].content for request in backend.requests if role(request) == "reflector"]
        assert all("Step 1:\nup\nThe world:\nyou stand on step 1" in text for text in asked)
        assert any("the goal was 2" in text for text in asked)

    def test_worlds_are_closed_and_never_too_many(self, tmp_path: Path) -> None:
        source = STAIRS.replace("def make():", "import atexit\ndef make():") + (
            "\nimport pathlib\nHERE = pathlib.Path(__file__).parent\n"
            "def note(task=Task):\n    (HERE / 'most').write_text(f'{MOST[0]} {len(OPEN)}')\n"
            "Task.note = staticmethod(note)\n"
        )
        go(
            tmp_path,
            source.replace("            OPEN.remove(self)", "            OPEN.remove(self)\n        note()"),
            climb,
        )[2].close()
        most, still_open = (tmp_path / "most").read_text().split()
        assert int(most) <= 2
        assert int(still_open) == 0

    def test_the_steps_are_limited(self, tmp_path: Path) -> None:
        def forever(request: Request) -> str:
            return answer("up") if role(request) == "generator" else nothing_learned(request)

        summary, _, store = go(tmp_path, STAIRS, forever, mode="evaluate")
        with store:
            assert len(store.calls(summary.run, evaluation=0)) == 3 * 6
            values = [outcome.value for outcome in store.outcomes(summary.run, evaluation=0)]
        assert values == [pytest.approx(1 / (1 + 6 - goal)) for goal in (2, 3, 4)]

    def test_a_broken_world_fails_the_sample_and_not_the_run(self, tmp_path: Path) -> None:
        def clumsy(request: Request) -> str:
            if role(request) != "generator":
                return nothing_learned(request)
            return answer("stumble" if "step 2" in request.messages[-1].content else "stay")

        summary, _, store = go(tmp_path, STAIRS, clumsy, mode="evaluate")
        with store:
            failed = [o for o in store.outcomes(summary.run, evaluation=0) if o.status == "failed"]
        assert [(outcome.sample_id, outcome.error) for outcome in failed] == [
            ("test-0", "TransientError: the stairs broke")
        ]
        assert summary.failed_samples == 1


PLAIN = """
from ace.tasks import Splits
from ace.types import Sample, Score


class Task:
    name = "plain"
    splits = Splits((), (), tuple(Sample(f"s{n}", f"Question {n}?", str(n)) for n in range(4)))

    def prompt(self, sample):
        return sample.question, ""

    def grade(self, sample, answer):
        right = answer == sample.target
        return Score(1.0 if right else 0.25, right, "")

    def answer_schema(self, sample):
        assert sample.target is None
        return {"type": "integer"}

    def metrics(self, graded):
        return {"answered": sum(answer is not None for _, answer in graded) / len(graded)}


def make():
    return Task()
"""


def test_an_answer_schema_guides_the_final_answer_and_metrics_are_kept(tmp_path: Path) -> None:
    def count(request: Request) -> str:
        assert request.schema is not None
        assert request.schema["properties"]["final_answer"] == {"type": "integer"}
        if "Question 3" in request.messages[-1].content:
            return "no JSON"
        return json.dumps({"reasoning": "r", "bullet_ids": [], "final_answer": 1})

    summary, _, store = go(tmp_path, PLAIN, count, mode="evaluate")
    with store:
        (evaluation,) = store.evaluations(summary.run)
    assert (evaluation.correct, evaluation.failed) == (1, 1)
    assert evaluation.metrics == {"answered": 0.75, "mean_score": (1 + 0.25 + 0.25 + 0) / 4}
    assert summary.metrics == {"after": evaluation.metrics}


SLOW = PLAIN.replace("    def prompt(", "    threads = True\n\n    def prompt(").replace(
    "        right = answer",
    "        import threading\n"
    "        assert threading.current_thread().name.startswith('ace-blocking')\n"
    "        right = answer",
)


def test_grading_that_takes_long_is_done_beside_the_loop(tmp_path: Path) -> None:
    def one(request: Request) -> str:
        return json.dumps({"reasoning": "r", "bullet_ids": [], "final_answer": 1})

    summary, _, store = go(tmp_path, SLOW, one, mode="evaluate")
    store.close()
    assert summary.accuracy_after == 0.25
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ace-blocking")]


BROKEN = PLAIN.replace(
    "        right = answer",
    "        if sample.id == 's2':\n            return Score(float(answer['value']), True, '')\n        right = answer",
)


def test_a_grade_that_fails_names_the_sample_and_the_line(tmp_path: Path) -> None:
    def one(request: Request) -> str:
        return json.dumps({"reasoning": "r", "bullet_ids": [], "final_answer": 1})

    with pytest.raises(TaskError, match=r"grade\(\) of the task failed for sample 's2': TypeError") as caught:
        go(tmp_path, BROKEN, one, mode="evaluate")
    assert "answer['value']" in str(caught.value)
    assert caught.value.facts == {"sample": "s2", "call": "grade"}


VOTING = """
from ace.tasks import Splits
from ace.types import Observation, Sample, Score


class Task:
    name = "voting"
    splits = Splits(tuple(Sample(f"s{n}", f"Question {n}?", f"kq7canary{n}") for n in range(2)), (), ())

    def prompt(self, sample):
        return sample.question, ""

    def grade(self, sample, answer):
        return Score(0.0, False, "kq7canary verdict")

    def same(self, sample, one, other):
        assert sample.target is None
        return one.lower() == other.lower()
"""
END = "\n\ndef make():\n    return Task()\n"


class Voters:
    """Answers A at first; what further draws say is given."""

    def __init__(self, draws: list[str], temperature: float = 0.7) -> None:
        self.draws, self.temperature = draws, temperature
        self.drawn: dict[str, int] = {}
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> str:
        if role(request) != "generator":
            return nothing_learned(request)
        user = request.messages[-1].content
        if request.sampling.temperature != self.temperature:
            return answer("A" if "<reflection>" not in user else "again A")
        with self.lock:
            number = self.drawn.get(user, 0)
            self.drawn[user] = number + 1
        return answer(self.draws[number % len(self.draws)])


class TestSignals:
    def signals(self, folder: Path, draws: list[str], **signals: Any) -> tuple[RunSummary, list[Request], list[str]]:
        summary, backend, store = go(
            folder,
            VOTING + END,
            Voters(draws),
            adaptation__labels="none",
            adaptation__signals={"consistency": {"samples": 4}, **signals},
            adaptation__max_rounds=1,
        )
        with store:
            stops = [str(outcome.stop) for outcome in store.outcomes(summary.run)]
        return summary, list(backend.requests), stops

    def test_agreement_with_oneself_counts_as_right(self, tmp_path: Path) -> None:
        summary, requests, stops = self.signals(tmp_path, ["a", "A", "a", "B"])
        assert stops == ["right", "right"]
        assert summary.calls["generator"] == 2 * (1 + 4)
        told = [request.messages[-1].content for request in requests if role(request) == "reflector"]
        assert all("Of 4 further answers that were drawn, 3 say the same. Others say: B" in text for text in told)

    def test_disagreement_is_tried_again(self, tmp_path: Path) -> None:
        _, requests, stops = self.signals(tmp_path, ["B", "C"])
        retries = [r for r in requests if role(r) == "generator" and "<reflection>" in r.messages[-1].content]
        assert len(retries) == 2
        assert stops == ["rounds", "rounds"]

    def test_between_the_thresholds_nothing_is_known(self, tmp_path: Path) -> None:
        assert self.signals(tmp_path, ["a", "B"])[2] == ["no_signal", "no_signal"]

    def test_no_target_and_no_verdict_is_in_a_prompt(self, tmp_path: Path) -> None:
        _, requests, _ = self.signals(tmp_path, ["B", "C"])
        assert not any("kq7canary" in message.content for request in requests for message in request.messages)

    def test_another_tier_is_asked_and_its_calls_are_its_own(self, tmp_path: Path) -> None:
        def tiers(request: Request) -> str:
            return answer("A") if role(request) == "generator" else nothing_learned(request)

        summary, backend, store = go(
            tmp_path,
            VOTING + END,
            tiers,
            adaptation__labels="none",
            adaptation__signals={"agreement": {"role": "curator"}},
        )
        store.close()
        assert summary.calls == {"generator": 2, "reflector": 2, "curator": 2 + 2}
        told = [request.messages[-1].content for request in backend.requests if role(request) == "reflector"]
        assert all("Another model gives the same answer." in text for text in told)

    def test_a_wrong_form_needs_no_vote(self, tmp_path: Path) -> None:
        form = VOTING + (
            "\n    def observe(self, sample, answer):\n        return Observation('no number', failed=True)\n"
        )
        summary, _, store = go(
            tmp_path,
            form + END,
            Voters(["A"]),
            adaptation__labels="none",
            adaptation__signals={"consistency": {"samples": 4}},
            adaptation__max_rounds=1,
        )
        store.close()
        assert summary.calls["generator"] == 2 * 2
