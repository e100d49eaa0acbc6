"""What docs/tasks.md shows works: its CSV, its config and its task."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ace_command import invoke

from ace.config import TaskSettings, load_settings
from ace.tasks import load_task
from ace.tasks.builtin import KINDS

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[0])


def test_the_csv_and_its_config(tmp_path: Path) -> None:
    (tmp_path / "units.csv").write_text(block("csv"))
    (tmp_path / "units.yaml").write_text(block("yaml"))
    settings = load_settings(tmp_path / "units.yaml")
    task = load_task(settings.task)
    (sample, *_) = (*task.splits.train, *task.splits.validation, *task.splits.test)
    assert task.grade(sample, sample.target or "").correct
    result = invoke("task", "check", tmp_path / "units.yaml")
    assert result.exit_code == 0, result.output


def test_the_python_task(tmp_path: Path) -> None:
    (tmp_path / "shout.py").write_text(block("python"))
    task = load_task(TaskSettings.model_validate({"name": "python", "path": f"{tmp_path}/shout.py:make"}))
    assert task.grade(task.splits.test[0], "GOOD DAY").correct


def test_the_routing_config() -> None:
    (config,) = re.findall(r"^task: {name: routing.*$", TEXT, re.MULTILINE)
    assert load_task(TaskSettings.model_validate(yaml.safe_load(config)["task"])).name == "routing-easy-0"


def test_every_task_is_listed() -> None:
    assert [name for name in (*KINDS, "appworld", "micro", "python", "routing") if f"`{name}`" not in TEXT] == []
