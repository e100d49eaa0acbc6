"""The replay benchmark: every mode makes the trace's calls, and is held against the hardware."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ace.bench.adaptation_runs.call_trace import save_trace
from ace.bench.adaptation_runs.micro_prompts import reflector_calls
from benchmarks.replay import ReplayMode, measure_replay

pytestmark = pytest.mark.slow


@pytest.mark.engine
@pytest.mark.nightly
def test_modes_make_the_calls_of_the_trace_and_are_held_against_the_hardware(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    calls = reflector_calls(2, 0, rounds=2, tokens=4)
    tiers = [replace(call, variant="tiers", tier="small" if call.chain == "1" else "main") for call in calls]
    save_trace(tmp_path / "trace.jsonl", [*(replace(call, variant="full") for call in calls), *tiers])
    modes = (
        ReplayMode("one by one", "huggingface", serial=True),
        ReplayMode("two shapes", "huggingface", "tiers", serial=True),
    )
    report = measure_replay(
        shape="micro",
        small_shape="0.15b",
        layers=1,
        samples=2,
        repetitions=1,
        seed=0,
        trace=tmp_path / "trace.jsonl",
        modes=modes,
    )
    one, two = report.rows
    assert (one.calls, one.small_calls, two.small_calls) == (4, 0, 2)
    assert one.completion_tokens == two.completion_tokens == 4 * 4
    assert one.bound is not None and two.bound is not None
    assert (one.bound.steps, two.bound.steps) == (16, 16)
    assert one.bound.tokens == two.bound.tokens == one.prompt_tokens + 4 * 3
    assert two.bound.products_s > one.bound.products_s
    assert all(row.bound is not None and 0 < row.bound.reached < 1 for row in report.rows)
    assert list(report.rooflines) == ["micro", "0.15b"]
    assert json.loads(json.dumps(report.to_json()))["rows"][0]["bound"]["steps"] == 16
    assert report.to_markdown().count("\n| ") == 2 * (1 + len(modes))
