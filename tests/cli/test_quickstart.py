"""`ace quickstart`: the packaged config, and the real thing through the real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ace.cli.commands.quickstart import quickstart_settings
from ace.cli.main import app


def test_the_packaged_config_takes_the_options() -> None:
    settings = quickstart_settings(provider="huggingface", seed=7, model="micro-draft", store="sqlite:///x: y.db")
    assert (settings.models["main"].provider, settings.models["main"].model) == ("huggingface", "micro-draft")
    assert (settings.seed, settings.task.micro.seed, settings.task.name) == (7, 7, "micro")
    assert settings.store == "sqlite:///x: y.db"
    assert settings.prompts == "micro"


def test_a_provider_that_does_not_exist_is_exit_code_2() -> None:
    result = CliRunner().invoke(app, ["quickstart", "--provider", "vlm"])
    assert result.exit_code == 2
    assert "did you mean 'vllm'?" in result.stderr


@pytest.mark.engine
def test_the_micro_model_learns_a_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["quickstart", "--json", "q.json"])
    assert result.exit_code in (0, 4), result.output
    summary = json.loads(Path("q.json").read_text())
    assert summary["provider"] == "vllm"
    assert summary["accuracy_after"] > summary["accuracy_before"]
    assert summary["prefix_cache_hit_rate"] > 0.5
    assert f"ace show {summary['run']}" in result.stdout
