"""Real data of others (the original ACE release) loads; skipped where it is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ace.config import TaskSettings
from ace.tasks import load_task

CHECKOUT = Path(__file__).resolve().parents[3]
PLACES = [CHECKOUT.parent / "shared" / "data", CHECKOUT / "shared" / "data"]
DATA = (
    Path(os.environ["ACE_SHARED_DATA"]) if "ACE_SHARED_DATA" in os.environ else next(filter(Path.is_dir, PLACES), None)
)

pytestmark = pytest.mark.skipif(DATA is None or not DATA.is_dir(), reason="no shared data: set ACE_SHARED_DATA")


def finance(name: str) -> str:
    assert DATA is not None
    path = DATA / "finance" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return str(path)


def test_formula_questions_from_two_files() -> None:
    task = load_task(
        TaskSettings.model_validate(
            {
                "name": "jsonl",
                "train": finance("formula_train.jsonl"),
                "test": finance("formula_val.jsonl"),
                "fields": {"question": "context"},
                "grader": "numeric",
            }
        )
    )
    assert (len(task.splits.train), len(task.splits.test)) == (500, 300)
    sample = task.splits.train[0]
    assert (sample.id, sample.target, sample.context) == ("formula_train-1", "2.0", "")
    assert sample.question.startswith("Use formula Current Ratio")
    assert task.grade(sample, "$2.00").correct
    assert not task.grade(sample, "2.1").correct


def test_tags_cut_from_one_file_in_which_a_question_stands_twice() -> None:
    settings = {"name": "jsonl", "path": finance("finer_val.jsonl"), "fields": {"question": "context"}}
    task = load_task(TaskSettings.model_validate({**settings, "grader": "list"}))
    samples = task.splits.train + task.splits.validation + task.splits.test
    assert len(samples) == 120
    for sample in samples:
        assert sample.target is not None
        assert task.grade(sample, sample.target.replace(",", " , ")).correct
    first = next(sample for sample in samples if (sample.target or "").count(",") == 3)
    assert first.target is not None
    assert task.grade(first, "x," + first.target.split(",", 1)[1]).value == 0.75
