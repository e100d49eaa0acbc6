"""`ace compare`, `ablate`, `baselines`, `run --seeds`, `playbook credit|bisect|prune`, `ace task` from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Invoke = Callable[..., Result]


def rows(path: str) -> dict[str, float]:
    return {row["name"]: row["accuracy"] for row in json.loads(Path(path).read_text())["rows"]}


class TestCompare:
    def test_before_and_after_of_one_run(self, ace: Invoke, config: Path) -> None:
        ace("run", config)
        result = ace("compare", "latest", "--json", "c.json")
        assert result.exit_code == 0, result.output
        assert "McNemar's exact test" in result.stdout
        (found,) = json.loads(Path("c.json").read_text())
        assert (found["test"]["difference"], found["test"]["only_b"], found["test"]["p"]) == (1.0, 3, 0.25)
        assert result.stdout.count("blue") == 3

    def test_runs_against_the_first(self, ace: Invoke, config: Path) -> None:
        for method in ("empty", "ace", "icl"):
            ace("run", config, "--set", f"adaptation.method={method}", "--set", f"name={method}")
        listed = ace("runs").stdout
        ids = [line.split()[0] for line in reversed(listed.splitlines()[1:])]
        result = ace("compare", *ids, "--samples", "0", "--points", "10", "--measure", "score")
        assert result.exit_code == 0, result.output
        assert "10 points would need" in result.stdout
        assert "+100.0" in result.stdout

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nope"], "no run 'nope'"),
            (["latest", "--evaluation", "midway"], "no evaluation 'midway'; it has before, after"),
            (["latest", "--json", "config.yaml/x.json"], "config.yaml"),
        ],
    )
    def test_what_is_wrong(self, ace: Invoke, config: Path, arguments: list[str], said: str) -> None:
        ace("run", config)
        result = ace("compare", *arguments)
        assert result.exit_code == 2
        assert said in result.stderr


@pytest.mark.slow
class TestGrids:
    def test_ablate_writes_a_table_a_plot_and_numbers(self, ace: Invoke, config: Path) -> None:
        arguments = ["ablate", config, "--vary", "method=ace,empty", "--vary", "max_rounds=0,1", "--seeds", "2"]
        result = ace(*arguments, "--json", "a.json", "--markdown", "a.md", "--plot", "a.html")
        assert result.exit_code == 0, result.output
        assert rows("a.json") == {
            "method=ace max_rounds=0": 0.0,
            "method=ace max_rounds=1": 1.0,
            "method=empty max_rounds=0": 0.0,
            "method=empty max_rounds=1": 0.0,
        }
        assert "8/8 method=empty max_rounds=1 seed 1: 0.0%" in result.stderr
        assert "| method=ace max_rounds=1 | 100.0% |" in Path("a.md").read_text()
        page = Path("a.html").read_text()
        assert "method=ace max_rounds=1" in page and page.count('class="interval"') == 4
        assert 'style="width: 100.00%"' in page and page.count('class="dot"') == 8
        assert 'src="http' not in page and len(page) < 100_000
        again = ace(*arguments)
        assert "8 of 8 were in the store already" in again.stderr

    def test_grow_compares_numbers_of_shards_and_keeps_what_was_run(self, ace: Invoke, config: Path) -> None:
        arguments = ["grow", config, "--shards", "1", "--shards", "2", "--output", "grown.json"]
        result = ace(*arguments, "--json", "a.json")
        assert result.exit_code == 0, result.output
        one, two = json.loads(Path("a.json").read_text())
        assert [(row["shards"], len(row["rounds"])) for row in (one, two)] == [(1, 3), (2, 2)]
        assert one["accuracy"] == two["accuracy"] == 1.0
        assert json.loads(Path("grown.json").read_text())["bullets"]
        assert ace(*arguments, "--json", "b.json").exit_code == 0
        again = json.loads(Path("b.json").read_text())
        assert [row["rounds"] for row in again] == [one["rounds"], two["rounds"]]

    def test_a_plot_holds_no_markup_of_ours(self, ace: Invoke, config: Path) -> None:
        canary = "<img src=x onerror=alert(1)>"
        result = ace("ablate", config, "--set", f"name='{canary}'", "--plot", "a.html")
        assert result.exit_code == 0, result.output
        assert canary not in Path("a.html").read_text()

    def test_seeds_of_a_run(self, ace: Invoke, config: Path) -> None:
        result = ace("run", config, "--seeds", "3", "--json", "s.json")
        assert result.exit_code == 0, result.output
        assert rows("s.json") == {"as configured": 1.0}
        assert json.loads(Path("s.json").read_text())["seeds"] == [0, 1, 2]

    def test_baselines(self, ace: Invoke, config: Path) -> None:
        result = ace("baselines", config, "--json", "b.json")
        assert result.exit_code == 0, result.output
        found = rows("b.json")
        assert next(iter(found)) == "ACE as configured"
        assert (found["ACE as configured"], found["full rewrite"], found["empty playbook"]) == (1.0, 1.0, 0.0)

    @pytest.mark.parametrize(
        ("vary", "said"),
        [("batch=1", "--vary: found 'batch', allowed: a key of the config"), ("method=best", "adaptation.method")],
    )
    def test_what_is_wrong(self, ace: Invoke, config: Path, vary: str, said: str) -> None:
        result = ace("ablate", config, "--vary", vary)
        assert result.exit_code == 2
        assert said in result.stderr


class TestCredit:
    @pytest.fixture
    def mixed(self, ace: Invoke, config: Path) -> Path:
        """A playbook of one bullet that is right and one that nothing depends on; no validation split."""
        Path("mixed.txt").write_text("[str-00001] The sky is blue.\n[str-00002] Grass grows.\n")
        return config

    def test_the_ranking_of_a_file(self, ace: Invoke, mixed: Path) -> None:
        result = ace("playbook", "credit", "mixed.txt", "--config", mixed, "--split", "test", "--json", "k.json")
        assert result.exit_code == 0, result.output
        found = json.loads(Path("k.json").read_text())
        assert [(held["ids"], held["effect"]) for held in found["ranking"]] == [
            (["str-00001"], 1.0),
            (["str-00002"], 0.0),
        ]

    def test_an_empty_split(self, ace: Invoke, mixed: Path) -> None:
        result = ace("playbook", "credit", "mixed.txt", "--config", mixed)
        assert result.exit_code == 2
        assert "the validation split is empty" in result.stderr

    def test_a_file_needs_a_config(self, ace: Invoke, mixed: Path) -> None:
        assert "--config" in ace("playbook", "credit", "mixed.txt").stderr

    def test_prune_by_credit(self, ace: Invoke, mixed: Path) -> None:
        arguments = ["playbook", "prune", "mixed.txt", "out.txt", "--config", mixed, "--split", "test", "--useless"]
        result = ace(*arguments)
        assert result.exit_code == 0, result.output
        said = result.stderr.splitlines()[-3:]
        assert said == ["- [str-00002] Grass grows.", "dropped 1 of 2 bullets", "out.txt: 1 bullets"]
        assert Path("out.txt").read_text().count("[str-") == 1

    def test_prune_by_counters(self, ace: Invoke, config: Path) -> None:
        Path("p.txt").write_text(
            "[str-00001] helpful=3 harmful=1 :: Keep.\n[str-00002] helpful=0 harmful=2 :: Drop.\n[str-00003] Idle.\n"
        )
        result = ace("playbook", "prune", "p.txt", "out.txt", "--by", "counters")
        assert result.exit_code == 0
        assert "dropped 1 of 3 bullets" in result.stderr
        text = Path("out.txt").read_text()
        assert "Keep." in text and "Idle." in text and "Drop." not in text

    def test_a_run_and_its_history(self, ace: Invoke, config: Path) -> None:
        ace("run", config)
        result = ace("playbook", "bisect", "latest", "test-0")
        assert result.exit_code == 0, result.output
        lines = [line.split() for line in result.stdout.splitlines()]
        assert ["v0", "-", "no", "green"] in lines
        assert ["v1", "1", "yes", "blue"] in lines
        assert "no version that was wrong came after one that was right" in result.stdout
        assert "did you mean" not in ace("playbook", "credit", "latest", "--split", "test").stderr


class TestTask:
    @pytest.mark.slow
    def test_a_new_task_checks_and_runs_and_its_test_passes(self, ace: Invoke, config: Path) -> None:
        assert ace("task", "new", "sums", "--folder", "mine").exit_code == 0
        checked = ace("task", "check", "mine/sums.yaml")
        assert checked.exit_code == 0, checked.output
        assert "train 2, validation 1, test 2" in checked.stdout
        assert "the reflector sees" in checked.stdout
        tests = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_sums.py"],
            cwd="mine",
            capture_output=True,
            text=True,
        )
        assert tests.returncode == 0, tests.stdout
        result = ace("run", "mine/sums.yaml", "--set", "models.main.provider=scripted")
        assert result.exit_code == 0, result.output

    @pytest.mark.parametrize("name", ["two words", "../escape", "class", "1st", ""])
    def test_what_is_no_name(self, ace: Invoke, config: Path, name: str) -> None:
        result = ace("task", "new", name)
        assert result.exit_code == 2
        assert "a Python name" in result.stderr

    def test_nothing_is_overwritten(self, ace: Invoke, config: Path) -> None:
        Path("sums.yaml").write_text("mine")
        result = ace("task", "new", "sums")
        assert "sums.yaml does" in result.stderr
        assert Path("sums.yaml").read_text() == "mine"

    def test_a_check_without_labels_shows_no_target(self, ace: Invoke, config: Path) -> None:
        Path("train.jsonl").write_text('{"question": "q", "target": "kq7canary"}\n')
        shown = ace("task", "check", config, "--set", "adaptation.labels=none").stdout
        assert shown.count("kq7canary") == 2  # the target, and how an empty answer is graded
        assert "There is none. Judge the answer" in shown
        assert ace("task", "check", config).stdout.count("kq7canary") > 2

    @pytest.mark.parametrize(
        ("name", "optional"),
        [
            ("csv", "none"),
            ("gsm8k", "observes answers, compares answers"),
            ("finer", "observes answers, compares answers, measures evaluations, has answer schemas"),
            ("json", "observes answers, compares answers, has answer schemas"),
            ("code", "observes answers, grades in threads"),
        ],
    )
    def test_a_check_lists_the_optional_methods_that_the_task_has(
        self, ace: Invoke, config: Path, name: str, optional: str
    ) -> None:
        Path("train.csv").write_text("question,target\nq,a\n")
        source = ["--set", "task.train=train.csv"] if name == "csv" else ["--set", "task.path=sample"]
        Path("task.yaml").write_text(f"task: {{name: {name}}}\nmodels: {{main: {{provider: scripted, model: none}}}}\n")
        checked = ace("task", "check", "task.yaml", *source)
        assert checked.exit_code == 0, checked.output
        [line] = [line for line in checked.stdout.splitlines() if line.startswith("optional")]
        assert line.removeprefix("optional").strip() == optional

    def test_an_unknown_sample(self, ace: Invoke, config: Path) -> None:
        assert "its ids look like 'train-0'" in ace("task", "check", config, "--sample", "x").stderr
