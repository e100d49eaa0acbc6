"""The saturation benchmark records what the adaptation alone asked, and compares like with like."""

from __future__ import annotations

import asyncio
import json

import pytest
from micro_runs import micro_backend

from ace.bench.adaptation_runs.request_recorder import RequestRecorder
from ace.bench.hardware.measured_machine import Machine
from ace.errors import ConfigError
from benchmarks.engine_load.saturation import (
    Pass,
    SaturationReport,
    complete_at_once,
    measure_saturation,
    run_once,
    saturation_row,
)


def test_what_is_recorded_are_the_calls_of_one_adaptation() -> None:
    backend = RequestRecorder(micro_backend())

    async def work() -> list[int]:
        counts = []
        for world in (1, 2):
            done, requests = await run_once(backend, 1, 6, 3, world)
            assert done.seconds > 0 and done.completion_tokens == backend.tokens > 0
            assert done.steps == 0, "a scripted model has no engine"
            counts.append(len(requests))
        again = await complete_at_once(backend, requests)
        assert again.completion_tokens > 0
        return counts

    first, second = asyncio.run(work())
    assert first >= 6 and second >= 6
    assert len({request.digest for request in backend.requests}) == second


def test_utilization_is_the_runs_speed_over_the_engines_own() -> None:
    runs = [Pass(2.0, 100, 10, 1.9), Pass(4.0, 100, 10, 3.6), Pass(1.0, 100, 10, 1.0)]
    row = saturation_row(1, [(one, []) for one in runs], [Pass(1.0, 100, 5, 1.0)] * 3)
    assert (row.utilization, row.run.tokens_per_s) == (0.5, 50.0)
    assert row.run.outside_engine == pytest.approx(0.05)
    report = SaturationReport((row,), 50, 16, 3, 0, None, Machine.here())
    assert json.loads(json.dumps(report.to_json()))["rows"][0]["run"]["steps"] == 10
    assert "| 1 | 0 | 2.00, 50 | 10, 190.00 | 5.0% |" in report.to_markdown()


def test_a_shape_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--shape: found '7b', allowed: micro, "):
        measure_saturation(samples=8, batch=4, repetitions=1, seed=0, shape="7b")


@pytest.mark.engine
@pytest.mark.nightly
@pytest.mark.parametrize("shape", [None, "micro"])
def test_a_run_and_its_calls_at_once_on_the_real_engine(shape: str | None) -> None:
    pytest.importorskip("vllm")
    report = measure_saturation(samples=8, batch=4, repetitions=1, seed=0, shape=shape)
    assert [row.pipeline for row in report.rows] == [0, 1]
    assert all(row.utilization > 0 and 0 < row.run.outside_engine < 1 for row in report.rows)
