"""Graders: which answers are right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.config import GraderName, TaskSettings
from ace.tasks.data.graders import grader, unfit_target

NAMES: tuple[GraderName, ...] = ("exact", "normalized", "contains", "numeric", "list", "choice", "regex")


def grade(name: GraderName, answer: str, target: str, tolerance: float = 0.0) -> float:
    return grader(TaskSettings(name="jsonl", path="x", grader=name, tolerance=tolerance))(answer, target)


@pytest.mark.parametrize(
    ("name", "answer", "target", "value"),
    [
        ("exact", " KQT-07\n", "KQT-07", 1),
        ("exact", "kqt-07", "KQT-07", 0),
        ("normalized", "  The  BLUE sky. ", "the blue sky", 1),
        ("normalized", "blue", "the blue sky", 0),
        ("normalized", "STRASSE", "straße", 1),
        ("contains", "It is Paris, I think", "paris", 1),
        ("contains", "It is Rome", "paris", 0),
        ("contains", "It is Rome", "?", 0),
        ("numeric", "1000", "1,000", 1),
        ("numeric", "$1,000.00", "1000", 1),
        ("numeric", "The ratio is 2.", "2.0", 1),
        ("numeric", "50%", "50", 1),
        ("numeric", "1e3", "1000", 1),
        ("numeric", "-$5", "-5", 1),
        ("numeric", "$-5", "5", 0),
        ("numeric", "−5", "-5", 1),
        ("numeric", ".5", "0.5", 1),
        ("numeric", "1,234,567.8", "1234567.8", 1),
        ("numeric", "2 or 3", "2", 0),
        ("numeric", "1,2", "12", 0),
        ("numeric", "none", "2", 0),
        ("numeric", "", "2", 0),
        ("numeric", "1e999", "2", 0),
        ("list", "a, B ,c", "a,b,c", 1),
        ("list", "a,x,c,d", "a,b,c,d", 0.75),
        ("list", "a", "a,b", 0.5),
        ("list", "a,b,c,d", "a,b", 0.5),
        ("list", "b,a", "a,b", 0),
        ("list", "", "a", 0),
        ("choice", "B", "B", 1),
        ("choice", "(b) because", "B", 1),
        ("choice", "B. Paris", "B", 1),
        ("choice", "Answer: B", "B", 1),
        ("choice", "the answer", "T", 0),
        ("choice", "A cat sat", "A", 0),
        ("choice", "C", "B", 0),
        ("regex", " 12 km ", r"12\s*km", 1),
        ("regex", "about 12 km", r"12\s*km", 0),
    ],
)
def test_answers(name: GraderName, answer: str, target: str, value: float) -> None:
    assert grade(name, answer, target) == value


def test_tolerance_is_relative_to_the_target() -> None:
    assert grade("numeric", "100.9", "100", 0.01) == 1
    assert grade("numeric", "101.1", "100", 0.01) == 0
    assert grade("numeric", "0.001", "0", 0.01) == 0


@pytest.mark.parametrize(
    ("name", "target"),
    [("numeric", "two"), ("numeric", "1 or 2"), ("choice", "Paris"), ("regex", "(a"), ("regex", "*")],
)
def test_targets_that_no_answer_could_meet(name: GraderName, target: str) -> None:
    assert unfit_target(name, target)


@pytest.mark.parametrize("name", NAMES)
@given(answer=st.text(), target=st.text())
def test_any_grade_is_a_share(name: GraderName, answer: str, target: str) -> None:
    if unfit_target(name, target) is None:
        assert 0.0 <= grade(name, answer, target) <= 1.0


@pytest.mark.parametrize("name", [name for name in NAMES if name != "regex"])
@given(target=st.text(min_size=1) | st.floats(allow_nan=False, allow_infinity=False).map(str))
def test_the_target_itself_is_right(name: GraderName, target: str) -> None:
    if unfit_target(name, target) is None:
        assert grade(name, target, target) == 1.0
