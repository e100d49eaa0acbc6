"""The loop from Python, without a config file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import ace
from ace import Request, Sample, Score, ScriptedBackend
from ace.config import MicroSettings
from ace.tasks.micro.micro_task import MicroTask
from ace.tasks.micro.scripted_model import ScriptedMicroModel

TRAIN: list[Any] = [
    ("Desk for invoices?", "Q17"),
    {"question": "Desk for parcels?", "target": "X59", "context": "house rules"},
]
TEST = [Sample("t1", "Who handles invoices?", "Q17"), Sample("t2", "Who handles parcels?", "X59")]


def learner(request: Request) -> str:
    """Answers from the bullets alone; reflects and curates what the target was."""
    fields = set(request.schema["properties"]) if request.schema else set()
    system, user = request.messages[0].content, request.messages[-1].content
    topic = "invoices" if "invoices" in user else "parcels"
    code = {"invoices": "Q17", "parcels": "X59"}[topic]
    if "final_answer" in fields:
        known = f"{topic} go to {code}" in system
        return json.dumps({"reasoning": "", "bullet_ids": [], "final_answer": code if known else "unknown"})
    if "operations" in fields:
        new = [t for t in ("invoices go to Q17", "parcels go to X59") if t in user and t not in system]
        adds = [{"type": "ADD", "section": "str", "content": f"Tickets about {text}."} for text in new]
        return json.dumps({"reasoning": "", "operations": adds})
    return json.dumps({"reasoning": "", "key_insight": f"{topic} go to {code}", "bullet_tags": []})


def options(folder: Path) -> ace.api.Options:
    settings = {"prompts": "standard-1", "adaptation": {"max_rounds": 1}}
    return {"model": ScriptedBackend(learner), "store": f"sqlite:///{folder}/ace.db", "settings": settings}


def test_samples_in_memory_are_learned(tmp_path: Path) -> None:
    result = ace.adapt(TRAIN, test=TEST, **options(tmp_path))
    assert (result.summary.accuracy_before, result.accuracy) == (0.0, 1.0)
    assert [bullet.content for bullet in result.playbook.bullets] == [
        "Tickets about invoices go to Q17.",
        "Tickets about parcels go to X59.",
    ]
    assert "- Tickets about invoices go to Q17." in result.playbook.as_system_prompt()
    page = result._repr_html_()
    assert "Tickets about invoices" in page and "<svg" in page and "Accuracy 0.0% → 100.0%" in page
    assert repr(result) == f"<Result of {result.summary.run}: accuracy 0.0% -> 100.0%, 2 bullets>"
    result.save(tmp_path / "playbook.json")
    assert ace.read_playbook(tmp_path / "playbook.json").bullets == result.playbook.bullets


def test_a_playbook_is_evaluated_and_grown_further(tmp_path: Path) -> None:
    first = ace.adapt(TRAIN[:1], **options(tmp_path))
    assert ace.evaluate(first.playbook, TEST, **options(tmp_path)).accuracy == 0.5
    second = ace.adapt(TRAIN[1:], test=TEST, playbook=first.playbook, **options(tmp_path))
    assert (second.summary.accuracy_before, second.accuracy, len(second.playbook)) == (0.5, 1.0, 2)


def test_a_function_grades_and_a_running_loop_is_no_obstacle(tmp_path: Path) -> None:
    graded: list[str] = []

    def grade(sample: Sample, answer: str) -> Score:
        graded.append(sample.id)
        return Score(0.5, False, "half")

    async def notebook() -> ace.Result:
        return ace.evaluate(ace.Playbook.empty(), TEST, **options(tmp_path) | {"grade": grade})

    assert asyncio.run(notebook()).accuracy == 0.0
    assert sorted(graded) == ["t1", "t2"]


def test_a_task_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    task = MicroTask.make(MicroSettings(seed=3, terms=4, modifiers=3, train=6, validation=0, test=4))
    result = asyncio.run(
        ace.aadapt(
            task,
            model=ScriptedBackend(ScriptedMicroModel()),
            store=f"sqlite:///{tmp_path}/ace.db",
            settings={"prompts": "micro"},
        )
    )
    assert result.summary.accuracy_before == 0.0 and result.accuracy is not None and result.accuracy > 0.0


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([], "no samples"),
        ([("only a question",)], r"train\[0\]: tuple"),
        ([{"question": ""}], r"train\[0\]\.question: missing or empty"),
        ([{"question": "q", "answer": "a"}], r"train\[0\]: unknown key 'answer'"),
        ([{"question": "q", "target": 3}], r"train\[0\]\.target: 3, allowed: a text"),
        ([{"question": "q"}], "has no target"),
    ],
)
def test_a_sample_that_is_none_is_named_before_a_model_is_asked(
    tmp_path: Path, samples: list[object], words: str
) -> None:
    with pytest.raises(ace.DataError, match=words):
        ace.adapt(samples, **options(tmp_path))  # type: ignore[arg-type]


def test_a_grader_that_fails_names_the_sample(tmp_path: Path) -> None:
    def broken(sample: Sample, answer: str) -> float:
        raise KeyError("price")

    with pytest.raises(ace.DataError, match=r"sample 't1': KeyError\('price'\)"):
        ace.evaluate(ace.Playbook.empty(), TEST, **options(tmp_path) | {"grade": broken})
    with pytest.raises(ace.DataError, match="the grader gave 2"):
        ace.evaluate(ace.Playbook.empty(), TEST, **options(tmp_path) | {"grade": lambda sample, answer: 2})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epoch": 2}, "epoch: found 2, allowed: no such option.*did you mean 'epochs'?"),
        ({"grade": "exakt"}, "grade: found 'exakt', allowed: a function.*exact"),
        ({"model": ""}, "model: found None"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_runs(tmp_path: Path, wrong: Any, message: str) -> None:
    with pytest.raises(ace.ConfigError, match=message):
        ace.adapt(TRAIN, **{**options(tmp_path), **wrong})
    assert not list(tmp_path.iterdir())


def test_a_playbook_in_a_notebook_is_a_table_without_markup_of_its_texts() -> None:
    bullet = ace.Bullet("str-00001", "str", "<b>x</b>\u202e\nsecond")
    page = ace.Playbook.of([bullet], [ace.playbook.Section("str", "Rules")])._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt;" in page and "\u202e" not in page and "<br>second" in page
