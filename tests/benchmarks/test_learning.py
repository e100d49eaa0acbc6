"""The learning benchmark: its cells, and its refusals before an engine is loaded. The runs are of real models."""

from __future__ import annotations

from pathlib import Path

import pytest

from ace.bench.hardware.measured_machine import Machine
from ace.config import load_settings
from ace.errors import ConfigError
from benchmarks.learning import Cell, LearningReport, LearningRow, cells, measure_learning

CONFIGS = Path(__file__).parents[2] / "configs" / "learning"
ROUTING = CONFIGS / "routing.yaml"


def models(**folders: str) -> list[str]:
    return [
        f"models.{name}={{provider: vllm, model: {folder}, max_model_len: 2048}}" for name, folder in folders.items()
    ]


def test_the_small_model_generates_and_the_large_one_reflects_and_curates() -> None:
    engines = load_settings(ROUTING, models(small="a", large="b")).models
    settings = Cell(ROUTING, "both", "ace", 7).settings(engines, "sqlite:///x.db", ["task.routing.train=20"])
    roles = [settings.models[settings.roles.of(role).model].model for role in ("generator", "reflector", "curator")]
    assert roles == ["a", "b", "b"]
    assert (settings.seed, settings.task.routing.seed, settings.task.routing.train) == (7, 7, 20)
    assert settings.adaptation.reflect_together == 6


def test_another_method_has_none_of_aces_own_settings() -> None:
    engines = load_settings(ROUTING, models(large="b")).models
    settings = Cell(ROUTING, "large", "icl", 0).settings(engines, "sqlite:///x.db", [])
    assert list(settings.models) == ["large"]
    assert (settings.adaptation.method, settings.adaptation.reflect_together) == ("icl", 1)
    assert (settings.adaptation.curation, settings.adaptation.max_rounds) == ("model", 1)


def test_a_seed_decides_how_a_file_is_split() -> None:
    engines = load_settings(CONFIGS / "formula.yaml", models(large="b")).models
    settings = Cell(CONFIGS / "formula.yaml", "large", "ace", 3).settings(engines, "sqlite:///x.db", [])
    assert settings.task.split.seed == 3 and settings.task.split.train == 0.2


def test_all_tasks_come_before_the_next_seed_and_all_seeds_before_the_next_method() -> None:
    order = [
        (c.method, c.seed, c.config.stem) for c in cells([ROUTING, CONFIGS / "finer.yaml"], ["large"], "ab", [0, 1])
    ]
    assert order[:3] == [("a", 0, "routing"), ("a", 0, "finer"), ("a", 1, "routing")] and order[4][0] == "b"


@pytest.mark.parametrize(("name", "allowed"), [("both", "allowed: large"), ("huge", "allowed: large")])
def test_models_without_a_folder_are_refused(name: str, allowed: str) -> None:
    with pytest.raises(ConfigError, match=allowed):
        measure_learning(configs=[ROUTING], folders={"large": "no-such-folder"}, models=[name])


def test_the_report_names_its_command_with_every_option() -> None:
    report = measure_learning(
        configs=[ROUTING], folders={"large": "/models/qwen"}, seeds=[3], changes=["adaptation.epochs=2"], limit_s=0
    )
    assert report.rows == ()
    text = report.to_markdown()
    assert text.startswith(f"`python -m benchmarks learning --config {ROUTING} --large qwen --models large")
    assert "--method ace --seed 3 --set adaptation.epochs=2`" in text


def test_the_report_counts_what_could_not_be_read_and_says_why_a_run_failed() -> None:
    rows = (
        LearningRow(
            "routing", "large", "ace", 0, "r", 60, 0.15, 0.5, 0.2, 0.45, 5, 190, 60, 1, 4.5, ("7 times no answer",)
        ),
        LearningRow("finer", "large", "ace", 0, error="no such file"),
    )
    text = LearningReport("command", rows, {"large": "/models/qwen"}, Machine.here()).to_markdown()
    assert "large: qwen. 1 of 190 answers could not be read." in text
    assert "| 60 | 15.0% | 50.0% | +35.0 (+20.0 to +45.0) | 5 | 190 | 60 | 1 | 4.5 |" in text
    assert "\nrouting, large, ace, seed 0: 7 times no answer\n" in text
    assert "| finer | large | ace | 0 | 0 | no such file |" in text
