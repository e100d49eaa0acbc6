"""Plans: the simulation against cases that can be worked out, and a plan against the run that it is about."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ace_command import invoke
from micro_runs import micro_backend, settings

from ace.bench.hardware.model_cost import ModelCost
from ace.bench.planning.engine_speed import EngineSpeed, gpu_speed, measured_speed
from ace.bench.planning.run_plan import plan_run
from ace.bench.planning.scheduler_simulation import simulate_endpoint, simulate_engines
from ace.bench.planning.workload import Chain, PlannedCall, Workload
from ace.config import RunSettings
from ace.engine import RunSummary, run
from ace.errors import ConfigError, DataError
from ace.store import RunStore

SPEED = EngineSpeed(step_s=1.0, token_s=0.1, source="made up")
COST = ModelCost(64, 128, 2, 4, 2, 16, 1000)


def call(answer: int, computed: int = 0, seconds: float = 0.0) -> PlannedCall:
    return PlannedCall("generator", 100, computed, answer, seconds)


def test_one_sequence_takes_a_step_for_each_token() -> None:
    spent = simulate_engines(SPEED, [(call(10, computed=5), call(3))])
    assert spent.steps_s == pytest.approx(13.0)
    assert spent.answers_s == pytest.approx(1.3)
    assert spent.prompts_s == pytest.approx(0.5)


def test_sequences_share_their_steps() -> None:
    assert simulate_engines(SPEED, [(call(10),), (call(4),)]).seconds == pytest.approx(10 + 0.1 * 14)


def test_more_sequences_than_slots_wait() -> None:
    narrow = EngineSpeed(1.0, 0.0, "made up", slots=2)
    assert simulate_engines(narrow, [(call(4),)] * 5).seconds == pytest.approx(12.0)


def test_engines_divide_the_work_and_the_slowest_counts() -> None:
    two = EngineSpeed(1.0, 0.0, "made up", engines=2)
    assert simulate_engines(two, [(call(4),), (call(9),), (call(4), call(4))]).seconds == pytest.approx(9.0)


def test_the_tail_is_where_few_sequences_are_left() -> None:
    spent = simulate_engines(EngineSpeed(1.0, 0.0, "made up"), [(call(30),), *[(call(10),)] * 9])
    assert spent.tail_s == pytest.approx(20.0)


def test_an_endpoint_answers_so_many_calls_at_once() -> None:
    chains: list[Chain] = [
        (call(1, seconds=2.0), call(1, seconds=1.0)),
        (call(1, seconds=2.0),),
        (call(1, seconds=2.0),),
    ]
    assert simulate_endpoint(3, chains) == pytest.approx(3.0)
    assert simulate_endpoint(1, chains) == pytest.approx(7.0)


def played(folder: Path, **changes: Any) -> tuple[RunSettings, RunSummary]:
    chosen = settings(folder, **{"cache": "none", "task__micro__train": 24, "task__micro__terms": 10, **changes})
    return chosen, asyncio.run(run(chosen, backends={"main": micro_backend()}))


def test_the_plan_of_a_run_like_its_pilot_has_the_pilot_s_calls(tmp_path: Path) -> None:
    chosen, summary = played(tmp_path, adaptation__batch_size=4)
    with RunStore.open(chosen.store) as store:
        workload = Workload.of(store, summary.run)
        adapted = [one for batch in store.batches(summary.run) for one in store.calls(summary.run, batch=batch.index)]
    planned = plan_run(chosen, workload, SPEED, 24)
    assert (planned.batches, planned.batch_size) == (6, 4)
    assert sum(planned.calls.values()) == pytest.approx(len(adapted), rel=0.2)
    twice = plan_run(chosen, workload, SPEED, 2400)
    assert sum(twice.calls.values()) > 50 * sum(planned.calls.values())
    assert sum(planned.shares.values()) == pytest.approx(1.0)
    assert planned.money is None


def test_money_goes_by_the_prices_of_the_roles_models(tmp_path: Path) -> None:
    chosen, summary = played(tmp_path, models__main__price={"input": 1.0, "cached": 0.5, "output": 2.0})
    with RunStore.open(chosen.store) as store:
        planned = plan_run(chosen, Workload.of(store, summary.run), SPEED, 24)
    prompt, computed, answer = (
        sum(tokens.values()) for tokens in (planned.prompt_tokens, planned.computed_tokens, planned.answer_tokens)
    )
    assert planned.money == pytest.approx((computed + 0.5 * (prompt - computed) + 2 * answer) / 1e6)


def test_a_pilot_without_batches_is_refused(tmp_path: Path) -> None:
    chosen, summary = played(tmp_path, mode="evaluate")
    with RunStore.open(chosen.store) as store, pytest.raises(DataError, match="no calls to plan by"):
        Workload.of(store, summary.run)


def test_batches_beyond_the_pilot_are_like_its_later_ones() -> None:
    early, late = (call(1),), (call(2),)
    workload = Workload("pilot", (early, late), (late,), (), (), 0.0, None)
    assert set(workload.batch(2, 50, random.Random(0))[0]) == {late}
    assert set(workload.batch(0, 50, random.Random(0))[0]) == {early, late}


def throughput(folder: Path, rows: Mapping[str, tuple[float, int]]) -> Path:
    path = folder / "throughput.json"
    listed = [{"mode": mode, "seconds": s, "completion_tokens": tokens} for mode, (s, tokens) in rows.items()]
    path.write_text(json.dumps({"rows": listed, "requests": 11}))
    return path


def test_the_speed_is_fitted_to_one_sequence_and_to_many(tmp_path: Path) -> None:
    rows = {"vllm, one by one": (22.0, 110), "vllm, all at once": (5.0, 110)}
    speed = measured_speed(throughput(tmp_path, rows))
    assert speed.step_s + speed.token_s == pytest.approx(0.2)
    assert speed.step_s + 11 * speed.token_s == pytest.approx(0.5)
    with pytest.raises(ConfigError, match="ace bench throughput --json"):
        measured_speed(throughput(tmp_path, {"vllm, one by one": (22.0, 110)}))


def test_gpus_are_of_a_kind_and_a_number() -> None:
    assert gpu_speed("8xH100", COST, per_engine=2).engines == 4
    assert gpu_speed("h200", COST).step_s < gpu_speed("H100", COST).step_s
    for wrong in ("8xZ1", "3xH100", "x"):
        with pytest.raises(ConfigError, match="--gpus"):
            gpu_speed(wrong, COST, per_engine=2)


def test_the_command_shows_a_plan_and_writes_it(tmp_path: Path) -> None:
    chosen, _ = played(tmp_path)
    config = tmp_path / "run.yaml"
    config.write_text(chosen.to_yaml())
    speed = throughput(tmp_path, {"vllm, one by one": (22.0, 110), "vllm, all at once": (5.0, 110)})
    output = tmp_path / "plan.json"
    command = ["plan", str(config), "--samples", "1000000", "--speed", str(speed), "--json", str(output)]
    result = invoke(*command)
    assert result.exit_code == 0, result.output
    assert "1,000,000 samples" in result.output and "bottleneck" in result.output
    assert json.loads(output.read_text())["batches"] == 500_000
    assert invoke("plan", config, "--samples", "5").exit_code == 2
