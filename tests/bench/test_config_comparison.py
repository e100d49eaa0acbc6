"""`ace bench run --config`: any task and model, every mode on the same work."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ace.bench import ConfigReport, measure_config
from ace.bench.adaptation_runs.config_modes import ConfigSource, config_modes, config_settings
from ace.bench.report import Report
from ace.errors import ConfigError
from ace.types import ROLES

CONFIG = {
    "task": {
        "name": "micro",
        "micro": {"seed": 3, "terms": 4, "modifiers": 3, "train": 4, "validation": 2, "test": 3},
    },
    "models": {"main": {"model": "micro-target", "max_model_len": 2048}},
    "roles": {role: {"max_tokens": 96, "temperature": 0.0, "top_p": 1.0} for role in ROLES},
    "prompts": "micro",
    "adaptation": {"batch_size": 2, "max_rounds": 1},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "my.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    return file


def source(path: Path, *overrides: str) -> ConfigSource:
    return ConfigSource(str(path), overrides)


def test_rows_with_a_small_model_need_one(path: Path) -> None:
    alone = [mode.name for mode in config_modes(source(path).load())]
    both = [mode.name for mode in config_modes(source(path, "models.small.model=micro-draft").load())]
    assert alone == [
        "transformers, one by one",
        "transformers, batched",
        "vLLM, one by one",
        "vLLM",
        "vLLM, early stopping",
        "vLLM, speculative (n-gram)",
    ]
    assert set(both) - set(alone) == {
        "vLLM, early stopping, small reflector and curator",
        "vLLM, speculative (draft)",
    }


def test_a_mode_decides_who_plays_what(path: Path) -> None:
    given = source(path, "models.small.model=micro-draft", "roles.reflector.escalate.model=small", "seed=5")
    modes = {mode.name: mode for mode in config_modes(given.load())}
    plain = config_settings(modes["transformers, batched"], given, store="sqlite:///x.db", repetition=2)
    assert {plain.roles.of(role).model for role in ROLES} == {"main"}
    assert plain.roles.reflector.escalate is None
    assert (plain.models["main"].provider, plain.seed, plain.cache) == ("huggingface", 7, "none")
    assert (plain.evaluation.before, plain.adaptation.validate_each_epoch) == (False, False)
    tiers = config_settings(
        modes["vLLM, early stopping, small reflector and curator"], given, store="sqlite:///x.db", repetition=0
    )
    assert [tiers.roles.of(role).model for role in ROLES] == ["main", "small", "small"]
    drafted = config_settings(modes["vLLM, speculative (draft)"], given, store="sqlite:///x.db", repetition=0)
    assert drafted.models["main"].speculative.model == given.load().models["small"].model


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["task.micro.test=0"], "task.test"),
        (["task.micro.train=0"], "task.train"),
        (["adaptation.batch_size=auto"], "adaptation.batch_size: found 'auto'"),
    ],
)
def test_what_cannot_be_measured_is_refused(path: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        measure_config(source(path, *overrides), repetitions=1, prompts=0)


def test_a_config_without_the_model_that_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    roles = {role: {"model": "large"} for role in ROLES}
    file.write_text(yaml.safe_dump({**CONFIG, "models": {"large": {"model": "micro-target"}}, "roles": roles}))
    with pytest.raises(ConfigError, match="models: found 'large', allowed: a model 'main'"):
        source(file).load()


def test_the_command_names_no_folder_of_this_machine(path: Path) -> None:
    given = source(path, "models.main.model=/home/me/models/qwen", "seed=3")
    assert given.options == "--config my.yaml --set models.main.model=qwen --set seed=3"


@pytest.mark.engine
@pytest.mark.nightly
def test_every_mode_works_the_configs_samples(path: Path) -> None:
    partial: list[Report] = []
    modes = ["transformers, one by one", "transformers, batched"]
    report = measure_config(source(path), repetitions=1, prompts=0, modes=modes, partial=partial.append)
    assert report.runs is not None and [row.mode for row in report.runs.rows] == modes
    one, batched = report.runs.rows
    assert one.calls["generator"] >= 4 and (one.accuracy, one.calls) == (batched.accuracy, batched.calls)
    assert one.bound is not None and one.bound.reached > 0
    assert [len(part.runs.rows) for part in partial if isinstance(part, ConfigReport) and part.runs] == [1, 2]
    text = report.to_markdown()
    assert "ace bench run --config my.yaml --repetitions 1 --prompts 0" in text
    assert "micro" in text and "4 samples in batches of 2" in text


@pytest.mark.engine
@pytest.mark.nightly
def test_single_requests_come_first(path: Path) -> None:
    report = measure_config(source(path), repetitions=1, prompts=2, modes=["vLLM"])
    assert report.latency is not None
    assert [row.mode for row in report.latency.rows] == [
        "transformers",
        "vLLM, every prompt new",
        "vLLM, prefix in the cache",
    ]
    new, shared = report.latency.rows[1:]
    assert new.cached_share < 0.2 < shared.cached_share
