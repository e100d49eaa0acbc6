"""`ace bench speculative` without an engine: what is asked, and what is made of the answers."""

from __future__ import annotations

import asyncio

import pytest

from ace.bench.hardware.measured_machine import Machine
from ace.bench.speculative_methods import SpeculativeReport, Trial, measure_trials, recorded_requests, speculative_row
from ace.config import SpeculativeSettings
from ace.inference import ScriptedBackend
from ace.tasks.micro.scripted_model import role_of
from ace.types import ROLES, Usage


@pytest.mark.slow
def test_the_requests_are_a_runs_own_greedy_and_guided() -> None:
    requests = recorded_requests(200, world=1)
    assert len(requests) == 200
    assert {role_of(request) for request in requests} == set(ROLES)
    assert all(request.schema and request.sampling.temperature == 0 for request in requests)
    assert [r.messages for r in recorded_requests(20, world=1)] == [r.messages for r in requests[-20:]]
    assert recorded_requests(1, world=2)[0].messages != requests[-1].messages


def test_the_warm_up_is_not_counted_and_every_repetition_is() -> None:
    first, second, third = (recorded_requests(count, world=1) for count in (2, 3, 4))
    backend = ScriptedBackend(lambda request: "a b")
    (trial,) = asyncio.run(measure_trials(backend, {16: [first, second, third]}))
    assert backend.closed
    assert [len(texts) for texts in trial.texts] == [3, 4]
    assert [usage.completion_tokens for usage in trial.usages] == [6, 8]


def test_a_row_compares_with_the_same_work_without_speculation() -> None:
    base = Trial(1, (2.0, 4.0, 2.0), (("a", "b"), ("c", "d"), ("e", "f")), (Usage(1, 0, 8),) * 3, 1.0)
    usage = Usage(1, 0, 8, drafted_tokens=10, accepted_tokens=6, draft_steps=3)
    mine = Trial(1, (1.0, 1.0, 3.0), (("a", "b"), ("c", "x"), ("e", "f")), (usage,) * 3, 1.5)
    row = speculative_row(SpeculativeSettings(method="ngram"), mine, base)
    assert (row.seconds, row.tokens_per_s, row.ratio) == (1.0, 8.0, 2.0)
    assert (row.acceptance_rate, row.accepted_length) == (0.6, 3.0)
    assert (row.identical, row.answers) == (5, 6)
    report = SpeculativeReport((row,), {"suffix": "no package"}, "auto is off", "ace bench speculative", Machine.here())
    text = report.to_markdown()
    assert "| ngram | 1 | 1.00 | 8 | 2.00x | 60% | 3.00 | 5 of 6 |" in text
    assert "suffix was not measured: no package" in text
    assert report.to_json()["rows"][0]["ratio"] == 2.0
