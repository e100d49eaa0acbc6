"""Plans against the runs that they are about, and the command."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from micro_runs import micro_backend, settings
from stepped_engine import SteppedEngine
from typer.testing import CliRunner

from ace.bench.hardware.model_cost import ModelCost
from ace.bench.planning.calibration import Calibration, read_calibration, write_calibration
from ace.bench.planning.engine_speed import EngineSpeed
from ace.bench.planning.gpu_speed import gpu_speed
from ace.bench.planning.pilot import Pilot
from ace.bench.planning.run_plan import plan_run, replay_run
from ace.cli.main import app
from ace.config import RunSettings
from ace.engine import RunSummary, run
from ace.errors import ConfigError, DataError
from ace.reporting.plan_table import duration, plan_rows
from ace.store import RunStore

WORLD = {"task__micro__terms": 10, "task__micro__modifiers": 8}
DECODING = ((1, 100, 0.01), (65, 100, 0.03))
SPEED = EngineSpeed(DECODING, ((100, 0.02),), 0.001, "made up")
RESULTS = Path(__file__).resolve().parents[3] / "benchmarks" / "results"
COST = ModelCost(64, 128, 2, 4, 2, 16, 1000)


def played(folder: Path, **changes: Any) -> tuple[RunSettings, RunSummary]:
    chosen = settings(folder, **{"cache": "none", "task__micro__train": 28, **WORLD, **changes})
    return chosen, asyncio.run(run(chosen, backends={"main": micro_backend()}))


def pilot_of(chosen: RunSettings, summary: RunSummary) -> Pilot:
    with RunStore.open(chosen.store) as store:
        return Pilot.of(store, summary.run)


@pytest.fixture(scope="module")
def pilot_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunSettings, Pilot]:
    chosen, summary = played(tmp_path_factory.mktemp("pilot"), adaptation__batch_size="auto")
    return chosen, pilot_of(chosen, summary)


@pytest.mark.parametrize(("samples", "batch"), [(56, 4), (56, 56)])
def test_calls_and_tokens_are_those_of_the_run_whatever_its_batches(
    tmp_path: Path, pilot_run: tuple[RunSettings, Pilot], samples: int, batch: int
) -> None:
    chosen, summary = played(tmp_path, task__micro__train=samples, task__micro__seed=3, adaptation__batch_size=batch)
    planned = plan_run(chosen, pilot_run[1], SPEED, samples)
    actual = pilot_of(chosen, summary)
    calls = sum(len(sample.calls) for sample in actual.samples) + sum(len(each.curators) for each in actual.batches)
    assert planned.batches == len(actual.batches)
    assert sum(planned.calls.values()) == pytest.approx(calls, rel=0.2)
    assert actual.calls == calls
    assert planned.adapt_s == pytest.approx(
        replay_run(actual, SPEED) + pilot_run[1].outside(len(actual.batches), calls), rel=0.2
    )


def test_more_samples_take_longer_and_their_parts_add_up(pilot_run: tuple[RunSettings, Pilot]) -> None:
    chosen, pilot = pilot_run
    once, often = (plan_run(chosen, pilot, SPEED, samples) for samples in (64, 6400))
    assert 60 < sum(often.calls.values()) / sum(once.calls.values()) <= 110
    assert sum(often.shares.values()) == pytest.approx(1.0)
    assert often.money is None
    assert set(often.alternatives) == {"4 engines"}


def test_larger_batches_are_an_alternative(pilot_run: tuple[RunSettings, Pilot]) -> None:
    chosen, pilot = pilot_run
    small = chosen.model_copy(update={"adaptation": chosen.adaptation.model_copy(update={"batch_size": 4})})
    planned = plan_run(small, pilot, SPEED, 64)
    assert planned.alternatives["batches of 16"] < planned.adapt_s


def test_money_goes_by_the_prices_of_the_roles_models(tmp_path: Path) -> None:
    chosen, summary = played(tmp_path, models__main__price={"input": 1.0, "cached": 0.5, "output": 2.0})
    planned = plan_run(chosen, pilot_of(chosen, summary), SPEED, 24)
    prompt, computed, answer = (
        sum(tokens.values()) for tokens in (planned.prompt_tokens, planned.computed_tokens, planned.answer_tokens)
    )
    assert planned.money == pytest.approx((computed + 0.5 * (prompt - computed) + 2 * answer) / 1e6)


def test_money_goes_by_the_hours_of_gpus(pilot_run: tuple[RunSettings, Pilot]) -> None:
    chosen, pilot = pilot_run
    planned = plan_run(chosen, pilot, gpu_speed("8xH100", COST), 1000, gpu_hour=3.0)
    assert planned.engines == 8
    assert planned.money == pytest.approx(3.0 * 8 * planned.wall_s / 3600)


def test_a_pilot_without_batches_is_refused(tmp_path: Path) -> None:
    chosen, summary = played(tmp_path, mode="evaluate")
    with pytest.raises(DataError, match="no calls to plan by"):
        pilot_of(chosen, summary)


def test_gpus_are_of_a_kind_and_a_number() -> None:
    assert gpu_speed("8xH100", COST, per_engine=2).engines == 4
    assert gpu_speed("h200", COST).step_s(1, 100) < gpu_speed("H100", COST).step_s(1, 100)
    for wrong in ("8xZ1", "3xH100", "x"):
        with pytest.raises(ConfigError, match="--gpus"):
            gpu_speed(wrong, COST, per_engine=2)


def test_an_h100_is_as_fast_as_it_was_measured() -> None:
    measured = json.loads((RESULTS / "2026-11-26-concurrency-7b-h100.json").read_text())
    speed = gpu_speed("H100", ModelCost(3584, 18944, 28, 28, 4, 128, 152064))
    for row in measured["rows"]:
        step_s = speed.step_s(row["requests"], row["prompt_tokens"] + row["completion_tokens"] / row["requests"] / 2)
        assert step_s == pytest.approx(row["seconds"] / measured["tokens"], rel=0.04 if row["requests"] <= 64 else 0.2)


def test_rows_say_what_is_slow_and_what_helps(pilot_run: tuple[RunSettings, Pilot]) -> None:
    rows = dict(plan_rows(plan_run(*pilot_run, SPEED, 1_000_000)))
    assert "1,000,000 samples" in rows["work"]
    assert "what helps" in rows["slowest"]
    assert "times as fast" in rows["with 4 engines"]
    assert "28 of pilot" in rows["samples"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (42.3, "42 s"), (119, "119 s"), (210, "3.5 min"), (18_360, "5.1 h"), (1_036_800, "12 days")],
)
def test_durations_have_two_digits_that_count(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.slow
def test_the_command_shows_a_plan_and_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chosen, _ = played(tmp_path)
    config, speed, output = (tmp_path / name for name in ("run.yaml", "speed.json", "plan.json"))
    config.write_text(chosen.to_yaml())
    write_calibration(speed, Calibration("machine", "main", "2026-11-26", DECODING, ((100, 0.02),), 0.001))
    command = ["plan", str(config), "--samples", "1000000", "--json", str(output), "--calibration", str(speed)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "1,000,000 samples" in result.output and "slowest" in result.output
    assert json.loads(output.read_text())["batches"] == 500_000
    without = CliRunner().invoke(app, command[:4])
    assert without.exit_code == 2 and "--calibrate measures it once" in without.output
    assert CliRunner().invoke(app, [*command, "--gpus", "8xH100"]).exit_code == 2


@pytest.mark.slow
def test_the_command_calibrates_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chosen, _ = played(tmp_path)
    config, speed = tmp_path / "run.yaml", tmp_path / "speed.json"
    config.write_text(chosen.to_yaml())
    command = ["plan", str(config), "--samples", "100"]
    measured = [*command, "--calibrate", "--calibration", str(speed)]
    first = CliRunner().invoke(app, measured, obj={"main": SteppedEngine()})
    assert first.exit_code == 0, first.output
    assert CliRunner().invoke(app, command).output == first.output
    assert read_calibration(speed).request_s > 0
