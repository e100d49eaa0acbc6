"""The simulation of continuous batching, against cases that can be worked out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ace.bench.planning.engine_speed import EngineSpeed
from ace.bench.planning.pilot import Chain, PlannedCall
from ace.bench.planning.scheduler_simulation import simulate_endpoint, simulate_engines

SPEED = EngineSpeed(((1, 100, 1.0), (11, 100, 2.0)), ((10, 1.0),), 0.0, "made up")
FLAT = EngineSpeed(((1, 100, 1.0),), ((1, 0.0),), 0.0, "made up")


def call(answer: int, computed: int = 0, seconds: float = 0.0, prompt: int = 100) -> PlannedCall:
    return PlannedCall("generator", prompt, computed, answer, seconds)


def test_a_step_s_seconds_lie_on_lines_between_the_measured_points() -> None:
    speed = EngineSpeed(((1, 100, 1.0), (11, 100, 2.0), (1, 200, 2.0), (11, 200, 4.0)), ((10, 1.0), (20, 3.0)), 0.0, "")
    assert speed.step_s(1, 100) == pytest.approx(1.0)
    assert speed.step_s(6, 100) == pytest.approx(1.5)
    assert speed.step_s(6, 150) == pytest.approx(2.25)
    assert speed.step_s(21, 100) == pytest.approx(3.0)
    assert speed.step_s(11, 300) == pytest.approx(6.0)
    assert [speed.prefill_s(tokens) for tokens in (0, 5, 10, 15, 30)] == pytest.approx([0.0, 0.5, 1.0, 2.0, 5.0])


def test_one_sequence_takes_a_step_for_each_token() -> None:
    spent = simulate_engines(SPEED, [(call(10, computed=5), call(3))])
    assert spent.steps_s == pytest.approx(13.0)
    assert spent.prompts_s == pytest.approx(0.5)
    assert spent.answers_s == 0


def test_sequences_share_their_steps() -> None:
    spent = simulate_engines(SPEED, [(call(10),), (call(4),)])
    assert (spent.steps_s, spent.answers_s) == pytest.approx((10.0, 4 * 0.1))


def test_steps_take_longer_behind_a_long_context() -> None:
    speed = EngineSpeed(((1, 100, 1.0), (1, 1100, 2.0)), ((1, 0.0),), 0.0, "made up")
    assert simulate_engines(speed, [(call(10, prompt=595),)]).seconds == pytest.approx(15.0)


def test_a_new_prefix_is_computed_once_by_each_engine() -> None:
    assert simulate_engines(SPEED, [(call(1, computed=5),)] * 2, prefix=20).prompts_s == pytest.approx(3.0)
    two = replace(SPEED, engines=2)
    assert simulate_engines(two, [(call(1, computed=5),)] * 2, prefix=20).prompts_s == pytest.approx(2.5)


def test_taking_in_a_request_has_its_price() -> None:
    assert simulate_engines(replace(FLAT, request_s=0.5), [(call(1), call(1)), (call(1),)]).requests_s == 1.5


def test_more_sequences_than_slots_wait() -> None:
    assert simulate_engines(replace(FLAT, slots=2), [(call(4),)] * 5).seconds == pytest.approx(12.0)


def test_engines_divide_the_work_and_the_slowest_counts() -> None:
    two = replace(FLAT, engines=2)
    assert simulate_engines(two, [(call(4),), (call(9),), (call(4), call(4))]).seconds == pytest.approx(9.0)


def test_the_tail_is_where_few_sequences_are_left() -> None:
    assert simulate_engines(FLAT, [(call(30),), *[(call(10),)] * 9]).tail_s == pytest.approx(20.0)


def test_an_endpoint_answers_so_many_calls_at_once() -> None:
    chains: list[Chain] = [
        (call(1, seconds=2.0), call(1, seconds=1.0)),
        (call(1, seconds=2.0),),
        (call(1, seconds=2.0),),
    ]
    assert simulate_endpoint(3, chains) == pytest.approx(3.0)
    assert simulate_endpoint(1, chains) == pytest.approx(7.0)
