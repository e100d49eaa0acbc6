"""Every config in configs/ loads, and so does its task and its prompt pack."""

from __future__ import annotations

from pathlib import Path

import pytest

from ace.config import load_settings
from ace.prompts import load_pack
from ace.tasks import load_task

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


def test_the_examples_are_there() -> None:
    assert {path.stem for path in CONFIGS} >= {"micro-cpu", "qwen2.5-7b-gpu", "endpoint", "mixed-tiers", "micro-tiers"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_loads_from_anywhere(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(path)
    splits = load_task(settings.task, labels=settings.adaptation.labels).splits
    assert splits.train and splits.test
    assert splits.validation or path.stem == "routing-bench"  # which is measured with one split of its own
    assert load_pack(settings.prompts).name == settings.prompts
    assert all(settings.roles.of(role).model in settings.models for role in ("generator", "reflector", "curator"))


def test_the_micro_config_is_the_quickstart() -> None:
    def work(name: Path) -> dict[str, object]:
        settings = load_settings(name).model_dump(exclude={"name", "models"})
        return {**settings, "store": None}

    packaged = Path(__file__).resolve().parents[2] / "src" / "ace" / "cli" / "quickstart.yaml"
    assert work(next(path for path in CONFIGS if path.stem == "micro-cpu")) == work(packaged)
