"""Learning from several samples at once, and trying bullets before they are committed."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, settings

from ace.engine import RunSummary, run
from ace.errors import ConfigError
from ace.inference import ScriptedBackend
from ace.store import RunStore
from ace.types import Request

COLOURS = {"red": "R-1", "blue": "B-2", "green": "G-3"}
JOINT = {
    "adaptation__batch_size": 12,
    "adaptation__curation": "append",
    "adaptation__max_rounds": 0,
    "adaptation__reflect_together": 4,
    "adaptation__reflect_on_success": False,
}
RULE = re.compile(r"(\w+) things(?: are|.*, the answer is) (\w-\d)")
NOTE = re.compile(rf"\[(\S+)\] .*?{RULE.pattern}")


def write_task(folder: Path) -> dict[str, Any]:
    """Four things of each colour, whose code is its target."""
    lines = [
        json.dumps({"id": f"{colour}-{number}", "question": f"A {colour} thing, number {number}.", "target": code})
        for number in range(4)
        for colour, code in COLOURS.items()
    ]
    path = folder / "things.jsonl"
    path.write_text("\n".join(lines))
    return {"name": "jsonl", "train": str(path), "instructions": "Give the code of the thing."}


class Student:
    """Answers by the last rule in the notes and cites it; reflects by what questions share.

    `curated` is what its curator adds.
    """

    def __init__(self, *curated: str) -> None:
        self._curated = curated

    def __call__(self, request: Request) -> str:
        assert request.schema is not None
        fields = request.schema["properties"]
        system, user = (message.content for message in request.messages[:2])
        colours = re.findall(r"A (\w+) thing", user)
        if "final_answer" in fields:
            notes = {colour: (identity, code) for identity, colour, code in NOTE.findall(system)}
            identity, code = notes.get(colours[0], (None, "?"))
            cited = [identity] if identity else []
            return json.dumps({"bullet_ids": cited, "reasoning": "r", "final_answer": code})
        if fields.get("reasoning", {}).get("type") == "array":
            assert len(set(colours)) == 1 and system.endswith("(none yet)")
            named = {"reasoning": ["a thing"] * len(colours), "key_insight": f"{colours[0]} things"}
            return json.dumps(named)
        if "key_insight" in fields:
            code = re.search(r"\w-\d$", user.split("</right_answer>")[0].strip())
            assert code is not None and len(set(colours)) == 1
            return json.dumps({"reasoning": "r", "key_insight": f"{colours[0]} things are {code.group()}"})
        contents = self._curated or [line.removeprefix("- ") for line in user.split("\n") if RULE.search(line)]
        added = [{"type": "ADD", "section": "fact", "content": content} for content in contents]
        return json.dumps({"reasoning": "r", "operations": added})


def learn(folder: Path, student: Student, **changes: Any) -> tuple[RunSummary, ScriptedBackend, RunStore]:
    backend = ScriptedBackend(student)
    values = {"adaptation__batch_size": 6, "adaptation__shuffle": False, "playbook__dedup__enabled": False, **changes}
    chosen = settings(folder, task=write_task(folder), prompts="standard", **values)
    summary = asyncio.run(run(chosen, backends=all_roles(backend)))
    return summary, backend, RunStore.open(f"sqlite:///{folder}/ace.db", create=False)


def asked(backend: ScriptedBackend, field: str) -> list[Request]:
    return [r for r in backend.requests if r.schema is not None and field in r.schema["properties"]]


def contents(store: RunStore, summary: RunSummary) -> list[str]:
    return sorted(bullet.content for bullet in store.playbook(summary.run).bullets)


def test_wrong_samples_of_one_target_are_reflected_on_in_one_call(tmp_path: Path) -> None:
    changes = {"adaptation__max_rounds": 0, "adaptation__reflect_together": 8, "adaptation__reflect_on_success": False}
    summary, backend, store = learn(tmp_path, Student(), **changes)
    with store:
        assert contents(store, summary) == [
            f"When the question is about {colour} things, the answer is {code}."
            for colour, code in sorted(COLOURS.items())
        ]
        outcomes = store.outcomes(summary.run)
        reflected = [call for call in store.calls(summary.run) if call.role == "reflector"]
    assert [outcome.first_correct for outcome in outcomes] == [False] * 6 + [True] * 6
    texts = [request.messages[-1].content for request in asked(backend, "key_insight")]
    assert len(texts) == len(reflected) == 3
    assert all(text.count("\n- ") == 2 for text in texts)


def test_a_group_is_cut_where_it_is_too_large(tmp_path: Path) -> None:
    changes = {
        "adaptation__batch_size": 12,
        "adaptation__max_rounds": 0,
        "adaptation__reflect_together": 3,
        "adaptation__reflect_on_success": False,
    }
    _, backend, store = learn(tmp_path, Student(), **changes)
    store.close()
    sizes = [request.messages[-1].content.count("\n- ") for request in asked(backend, "key_insight")]
    assert sizes == [2] * 6


def test_without_it_each_sample_is_reflected_on_alone(tmp_path: Path) -> None:
    _, backend, store = learn(tmp_path, Student(), adaptation__max_rounds=1)
    store.close()
    texts = [request.messages[-1].content for request in asked(backend, "key_insight")]
    assert len(texts) == 12 and all(text.count("<question>") == 1 for text in texts)


@pytest.mark.parametrize("prompts", ["micro", "standard-1"])
def test_a_pack_without_a_text_for_several_samples_is_refused(tmp_path: Path, prompts: str) -> None:
    chosen = settings(tmp_path, task=write_task(tmp_path), prompts=prompts, adaptation__reflect_together=4)
    with pytest.raises(ConfigError, match=r"adaptation\.reflect_together: found 4"):
        asyncio.run(run(chosen, backends=all_roles(ScriptedBackend(Student()))))


def test_a_bullet_that_mends_nothing_or_breaks_more_is_left_out_and_counted(tmp_path: Path) -> None:
    useless, wrong, right = "Read every question twice.", "red things are X-9", "red things are R-1"
    student = Student(useless, wrong, right)
    changes = {"adaptation__max_rounds": 1, "adaptation__curator_groups": 1, "adaptation__try_bullets": 6}
    summary, _, store = learn(tmp_path, student, **changes)
    with store:
        assert contents(store, summary) == [right]
        reasons = [skipped.reason for delta in store.deltas(summary.run) for skipped in delta.skipped]
    assert reasons[:2] == ["0 of 6 answers cite it: it corrects 0 and breaks 0"] * 2
    assert "2 of 6 answers cite it: it corrects 0 and breaks 2" in reasons


def test_a_bullet_that_right_answers_alone_cite_stays(tmp_path: Path) -> None:
    class Guesser(Student):
        """Answers R-1 where no note helps: red things are right before there is a rule for them."""

        def __call__(self, request: Request) -> str:
            return super().__call__(request).replace('"?"', '"R-1"')

    rules = [f"{colour} things are {code}" for colour, code in COLOURS.items()]
    changes = {"adaptation__max_rounds": 1, "adaptation__curator_groups": 1, "adaptation__try_bullets": 6}
    summary, _, store = learn(tmp_path, Guesser(*rules), **changes)
    with store:
        assert contents(store, summary) == sorted(rules)


@pytest.mark.parametrize("most", [1, 3])
def test_bullets_are_tried_together_on_a_sample_of_each(tmp_path: Path, most: int) -> None:
    student = Student()
    summary, backend, store = learn(tmp_path, student, **JOINT, adaptation__try_bullets=most)
    with store:
        assert len(contents(store, summary)) == 3, "a bullet of which no sample was tried stays"
    tried = [request for request in asked(backend, "final_answer") if RULE.search(request.messages[0].content)]
    colours = [re.findall(r"A (\w+) thing", request.messages[-1].content) for request in tried]
    assert colours == [["red"], ["blue"], ["green"]][:most]


def test_insights_can_become_bullets_without_a_curator(tmp_path: Path) -> None:
    changes = {
        "adaptation__curation": "append",
        "adaptation__max_rounds": 0,
        "adaptation__reflect_together": 8,
        "adaptation__reflect_on_success": False,
    }
    summary, backend, store = learn(tmp_path, Student(), **changes)
    with store:
        bullets = store.playbook(summary.run).bullets
    assert [bullet.content for bullet in bullets] == [
        f"When the question is about {name} things, the answer is {code}." for name, code in COLOURS.items()
    ]
    assert {bullet.created.role for bullet in bullets} == {"reflector"}
    assert not asked(backend, "operations")


def test_without_trials_all_of_them_are_committed(tmp_path: Path) -> None:
    student = Student("Read every question twice.")
    summary, _, store = learn(tmp_path, student, adaptation__max_rounds=1, adaptation__curator_groups=1)
    with store:
        assert contents(store, summary) == ["Read every question twice."]


def test_phrases_of_the_prompt_and_of_other_targets_are_left_out(tmp_path: Path) -> None:
    class Namer(Student):
        """Names the number of each thing, which other colours have too; for number 0 what the prompt says."""

        def __call__(self, request: Request) -> str:
            if request.schema is None or "key_insight" not in request.schema["properties"]:
                return super().__call__(request)
            things = re.findall(r"A (\w+) thing, number (\d)", request.messages[-1].content)
            named = [f"number {number}" if number != "0" else "what is wanted" for _, number in things]
            return json.dumps({"reasoning": named, "key_insight": f"a {things[0][0]} thing"})

    summary, _, store = learn(tmp_path, Namer(), **JOINT)
    with store:
        assert contents(store, summary) == [
            f"When the question is about a {colour} thing, the answer is {code}."
            for colour, code in sorted(COLOURS.items())
        ]


def test_without_a_phrase_of_its_own_a_target_gets_no_insight(tmp_path: Path) -> None:
    class Vague(Student):
        def __call__(self, request: Request) -> str:
            if request.schema is None or "key_insight" not in request.schema["properties"]:
                return super().__call__(request)
            return json.dumps({"reasoning": ["a thing"], "key_insight": "a number"})

    summary, _, store = learn(tmp_path, Vague(), **JOINT)
    with store:
        assert contents(store, summary) == []
