"""`ace bench start`: what runs in the measured process, and the real engines once each: a warm one saves the start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from endpoint import Body, Handler, serving

from ace.bench import measure_start
from ace.bench.startup_time import FIRST_TOKEN

pytestmark = pytest.mark.slow


def test_the_measured_process_asks_for_one_token_and_says_how_long_it_took() -> None:
    pytest.importorskip("openai")

    def respond(handler: Handler, _: Body) -> None:
        handler.stream("x", finish="length", usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})

    with serving(respond) as endpoint:
        settings = json.dumps({"provider": "openai", "model": "m", "base_url": endpoint.url})
        done = subprocess.run([sys.executable, *FIRST_TOKEN, settings, "7"], capture_output=True, text=True, check=True)
    assert [body["messages"] for body in endpoint.bodies] == [[{"role": "user", "content": "7"}]]
    durations = json.loads(done.stdout)
    assert len(durations) == 3 and all(seconds > 0 for seconds in durations)


@pytest.mark.engine
@pytest.mark.nightly
def test_a_warm_engine_is_there_at_once() -> None:
    report = measure_start(repetitions=1, seed=0, modes=["vllm", "warm"])
    cold, warm = report.rows
    assert warm.total_s < cold.total_s
    assert cold.speedup == 1.0
    assert "| warm |" in report.to_markdown()
