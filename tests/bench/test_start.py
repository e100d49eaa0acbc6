"""`ace bench start` on the real engines, once each: a warm engine saves the start."""

from __future__ import annotations

import pytest

from ace.bench import measure_start


@pytest.mark.engine
@pytest.mark.slow
def test_a_warm_engine_is_there_at_once() -> None:
    report = measure_start(repetitions=1, seed=0, modes=["vllm", "warm"])
    cold, warm = report.rows
    assert warm.total_s < cold.total_s
    assert cold.speedup == 1.0
    assert "| warm |" in report.to_markdown()
