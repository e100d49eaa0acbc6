"""The script for a lent GPU: what it plans, what fits into its time, and the whole of it on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ace.cli.main import app
from benchmarks.__main__ import app as project_app
from benchmarks.gpu import ROOT, Outcome, Step, execute, install_command, main, plan_steps, run_steps

pytestmark = pytest.mark.slow

MODEL, DRAFT = Path("/m/large"), Path("/m/small")


class Machine:
    """Runs nothing: each command takes the seconds of its step, or ends with a code."""

    def __init__(self, seconds: Mapping[str, float], codes: Mapping[str, int] = {}) -> None:
        self._seconds, self._codes = seconds, codes
        self.now = 0.0
        self.limits: dict[str, float] = {}

    def clock(self) -> float:
        return self.now

    def execute(self, command: Sequence[str], environment: Mapping[str, str], most_s: float) -> int | None:
        name = Path(command[-1]).stem
        self.limits[name] = most_s
        self.now += min(self._seconds[name], most_s)
        return self._codes.get(name, 0) if self._seconds[name] <= most_s else None


def run(machine: Machine, output: Path, *names: str, limit_s: float = 100.0) -> list[Outcome]:
    steps = [Step(name, ("-m", "x"), 40.0) for name in names]
    return run_steps(steps, output, machine.execute, environment={}, limit_s=limit_s, clock=machine.clock)


def test_what_does_not_fit_is_stopped_or_skipped_and_named(tmp_path: Path) -> None:
    machine = Machine({"a": 30.0, "b": 90.0, "c": 25.0, "d": 1.0}, codes={"c": 3})
    outcomes = run(machine, tmp_path, "a", "b", "c", "d")
    assert [(one.step, one.status) for one in outcomes] == [
        ("a", "done"),
        ("b", "stopped"),
        ("c", "failed"),
        ("d", "skipped"),
    ]
    assert machine.limits == {"a": 40.0, "b": 40.0, "c": 30.0}
    assert [one.why for one in outcomes[1:]] == [
        "it may take 40 s; what it had measured is kept",
        "exit code 3",
        "5 s were left",
    ]
    assert [row["status"] for row in json.loads((tmp_path / "outcomes.json").read_text())] == [
        "done",
        "stopped",
        "failed",
        "skipped",
    ]


def test_the_outcomes_so_far_are_kept_where_the_script_ends(tmp_path: Path) -> None:
    def broken(command: Sequence[str], environment: Mapping[str, str], most_s: float) -> int | None:
        if "b.md" in command[-1]:
            raise KeyboardInterrupt
        return 0

    with pytest.raises(KeyboardInterrupt):
        run_steps([Step("a", (), 9), Step("b", (), 9)], tmp_path, broken, environment={})
    assert [row["step"] for row in json.loads((tmp_path / "outcomes.json").read_text())] == ["a"]


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(("model", "draft"), [(None, None), (MODEL, None), (MODEL, DRAFT)])
def test_every_step_is_a_command_with_options_that_exist(dry_run: bool, model: Path | None, draft: Path | None) -> None:
    for step in plan_steps(dry_run=dry_run, model=model, draft=draft):
        at = step.arguments.index("bench" if "ace" in step.arguments else "benchmarks") + 1
        command, *options = step.arguments[at:]
        within = ["bench", command] if "ace" in step.arguments else [command]
        shown = CliRunner().invoke(app if "ace" in step.arguments else project_app, [*within, "--help"]).output
        for option in (word for word in options if word.startswith("--")):
            assert option in shown, step


def test_real_weights_are_measured_where_they_are() -> None:
    names = [step.name for step in plan_steps(dry_run=False, model=None, draft=None)]
    assert "run-real" not in names and names[0] == "replay-7b"
    (real,) = (step for step in plan_steps(dry_run=False, model=MODEL, draft=DRAFT) if step.name == "run-real")
    assert "models.main.model=/m/large" in real.arguments and "models.small.model=/m/small" in real.arguments
    (learning,) = (step for step in plan_steps(dry_run=False, model=MODEL, draft=DRAFT) if step.name == "learning")
    assert learning.arguments[-8:-2] == ("--small", "/m/small", "--models", "large", "--models", "both")
    for step in (real, learning):
        assert (ROOT / step.arguments[step.arguments.index("--config") + 1]).is_file()


def test_a_trace_is_played_by_the_large_model_that_was_given() -> None:
    first, *_ = plan_steps(dry_run=False, model=None, draft=None, large=Path("/m/7b"), trace=Path("/t.jsonl"))
    assert first.arguments[first.arguments.index("--shape") + 1] == "/m/7b"
    assert first.arguments[first.arguments.index("--trace") + 1] == "/t.jsonl" and "--samples" not in first.arguments


def test_wheels_are_installed_from_their_folder_alone(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no wheels"):
        install_command(tmp_path, tmp_path / "site")
    (tmp_path / "vllm-1-py3-none-any.whl").touch()
    command = install_command(tmp_path, tmp_path / "site")
    assert {"--no-index", "--no-deps"} <= set(command)
    assert command[-1] == str(tmp_path / "vllm-1-py3-none-any.whl")


def test_a_step_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = f"import time, pathlib; time.sleep(3); pathlib.Path({str(tmp_path / 'alive')!r}).touch()"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    assert execute([sys.executable, "-c", parent], {}, 1.0) is None
    assert execute([sys.executable, "-c", "raise SystemExit(7)"], {}, 30.0) == 7
    subprocess.run([sys.executable, "-c", "import time; time.sleep(3)"], check=True)
    assert not (tmp_path / "alive").exists()


@pytest.mark.nightly
@pytest.mark.engine
@pytest.mark.timeout(1300)
def test_the_whole_plan_on_a_cpu(tmp_path: Path) -> None:
    assert main(["--dry-run", "--output", str(tmp_path), "--limit", "1200"]) == 0
    outcomes = json.loads((tmp_path / "outcomes.json").read_text())
    assert {row["step"]: row["status"] for row in outcomes} == dict.fromkeys(
        ("latency", "replay", "concurrency", "run", "speculative"), "done"
    )
    for row in outcomes:
        assert (tmp_path / f"{row['step']}.md").read_text().startswith("`")
