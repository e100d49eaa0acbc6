"""What real models, people and programs send.

One line of a data file is one input, its right value and where it was seen; a new one needs no code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ace.config import FieldSettings, TaskSettings
from ace.errors import DataError, ParseError, PlaybookFormatError
from ace.playbook import Add, Section, dumps, loads
from ace.playbook.bullet import Provenance
from ace.roles import AddOp, Curation, GeneratorAnswer, parse, to_delta
from ace.tasks import load_task
from ace.tasks.data.graders import grader
from ace.tasks.data.record_files import SUFFIXES
from ace.tasks.data.sample_loader import load_samples

Case = dict[str, Any]
FOLDER = Path(__file__).parent
SECTIONS = (
    Section("str", "Strategies and hard rules"),
    Section("fact", "Facts and definitions of the domain"),
    Section("calc", "Formulas, calculations and code to reuse"),
    Section("err", "Mistakes to avoid and how to recognise them"),
    Section("fmt", "Form of the answer"),
)


def cases(kind: str) -> pytest.MarkDecorator:
    rows = [json.loads(line) for line in (FOLDER / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(row["seen"] for row in rows)
    return pytest.mark.parametrize("case", rows, ids=[row["id"] for row in rows])


@cases("answers")
def test_answers(case: Case) -> None:
    truncated = case.get("truncated", False)
    if "error" in case:
        with pytest.raises(ParseError, match=case["error"]):
            parse(case["input"], GeneratorAnswer, truncated=truncated)
    else:
        assert parse(case["input"], GeneratorAnswer, truncated=truncated).final_answer == case["answer"]


@cases("sections")
def test_sections_that_curators_name(case: Case) -> None:
    operation = AddOp(type="ADD", section=case["input"], content="advice")
    delta = to_delta(Curation(operations=[operation]), Provenance(), SECTIONS)
    assert delta.operations == (Add(section=case["slug"], content="advice"),)


@cases("grades")
def test_grades(case: Case) -> None:
    grade = grader(TaskSettings(name="jsonl", path="x", grader=case["grader"]))
    assert (grade(case["input"], case["target"]) == 1.0) == case["right"]


@cases("labels")
def test_labels_of_multiple_choice(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(case["input"]))
    settings = TaskSettings(name="multiple_choice", test=str(path))
    if case["error"] is not None:
        with pytest.raises(DataError, match=case["error"]):
            load_task(settings)
    else:
        assert load_task(settings).splits.test[0].target == case["letter"]


@cases("tables")
def test_data_files(case: Case, tmp_path: Path) -> None:
    path = tmp_path / case["file"]
    path.write_bytes(case["input"].encode(case["encoding"]))
    format = SUFFIXES[path.suffix]
    if case["error"] is not None:
        with pytest.raises(DataError, match=case["error"]):
            load_samples(path, FieldSettings(), format=format)
    else:
        samples = load_samples(path, FieldSettings(), format=format)
        assert [[sample.question, sample.target] for sample in samples] == case["rows"]


@cases("structured")
def test_answers_that_are_json(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"question": "q", "target": case["target"]}))
    task = load_task(TaskSettings(name="json", test=str(path)))
    assert task.grade(task.splits.test[0], case["input"]).correct == case["right"]


@cases("programs")
def test_programs(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    record = {"prompt": case["prompt"], "entry_point": "f", "test_list": case["tests"]}
    path.write_text(json.dumps(record))
    task = load_task(TaskSettings(name="code", test=str(path)))
    score = task.grade(task.splits.test[0], case["input"])
    assert score.correct == case["right"], score.feedback


@cases("playbooks")
def test_playbooks_of_the_original_format(case: Case) -> None:
    if case["error"] is not None:
        with pytest.raises(PlaybookFormatError, match=case["error"]):
            loads(case["input"], "text", "playbook.txt")
        return
    notes: list[str] = []
    playbook = loads(case["input"], "text", notes=notes)
    found = [
        [bullet.id, bullet.content, bullet.counters.helpful, bullet.counters.harmful, bullet.counters.neutral]
        for bullet in playbook.bullets
    ]
    assert found == case["bullets"]
    assert len(notes) == case["notes"], notes
    if case["sections"] is not None:
        assert [section.title for section in playbook.sections] == case["sections"]
    again = loads(dumps(playbook, "text"), "text")
    assert [(bullet.id, bullet.content) for bullet in again.bullets] == [
        (bullet.id, bullet.content) for bullet in playbook.bullets
    ]
