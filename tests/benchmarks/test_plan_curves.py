"""Pictures of plans: drawn from committed results, and the same each time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ace.errors import ConfigError
from benchmarks.scale.plan_accuracy import read_cases

RESULT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "2026-11-26-plan-7b-h100.json"


@pytest.mark.slow
def test_the_picture_of_a_result_is_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.scale.plan_curves import draw_plan

    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    for path in (first, second):
        draw_plan(json.loads(RESULT.read_text()), path)
    drawn = first.read_text()
    assert drawn == second.read_text()
    for text in ("batch 16", "samples of a batch", "Engines (4,096 samples)"):
        assert text in drawn


def test_cases_are_two_numbers() -> None:
    assert read_cases(["64x16", "8x1"]) == ((64, 16), (8, 1))
    with pytest.raises(ConfigError, match="SAMPLESxBATCH"):
        read_cases(["64"])
