"""Adapters in `models`: an entry is whole by itself, says what its base says, and is refused where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ace.config import ModelSettings, RunSettings, load_settings, settings_from
from ace.errors import ConfigError

MAIN: dict[str, Any] = {"provider": "vllm", "model": "micro-target", "engine_args": {"seed": 1}, "speculative": "ngram"}
TUNED: dict[str, Any] = {"base": "main", "adapter": "/adapters/tuned"}


def config(main: dict[str, Any] = MAIN, **models: Any) -> dict[str, Any]:
    return {
        "task": {"name": "micro"},
        "models": {"main": main, **models},
        "roles": {role: {"model": next(iter(models))} for role in ("reflector", "curator")},
    }


def refused(**models: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        settings_from(config(**models))
    return str(caught.value)


def test_an_adapter_gets_what_its_base_says_but_for_a_price_of_its_own() -> None:
    price = {"input": 1.0, "output": 2.0}
    settings = settings_from(
        config(MAIN | {"price": price}, tuned=TUNED, cheap=TUNED | {"price": price | {"input": 0}})
    )
    main, tuned, cheap = (settings.models[name] for name in ("main", "tuned", "cheap"))
    assert tuned == main.model_copy(update=TUNED)
    assert cheap.price is not None and cheap.price.input == 0.0
    assert settings.models_used == ("main", "tuned")
    assert settings.engines_used == ("main",)
    assert (settings.engine_of("tuned"), settings.engine_of("main")) == ("main", "main")


def test_resolved_settings_are_read_back() -> None:
    settings = settings_from(config(tuned=TUNED | {"model": "micro-target"}))
    assert settings_from(settings.model_dump(mode="json")) == settings
    assert RunSettings.model_validate({**dict(settings), "models": settings.models}) == settings


def test_a_base_can_be_varied_with_all_its_adapters() -> None:
    """As `ace ablate` does it: over resolved settings."""
    dumped = settings_from(config(tuned=TUNED)).model_dump(mode="json")
    assert dumped["models"]["tuned"] == TUNED | {"price": None}
    varied = load_settings(None, ["models.main.max_model_len=100"], base=dumped)
    assert [varied.models[name].max_model_len for name in ("main", "tuned")] == [100, 100]


def test_a_base_may_be_checked_already() -> None:
    main = ModelSettings.model_validate(MAIN)
    assert settings_from(config(main, tuned=TUNED)) == settings_from(config(tuned=TUNED))  # type: ignore[arg-type]


@pytest.mark.parametrize("base", [None, "mian", "other", ["main"]])
def test_a_base_is_a_model_without_an_adapter(base: Any) -> None:
    said = refused(tuned={"base": base, "adapter": "/a"}, other=TUNED)
    assert said.startswith(f"models.tuned.base: found {base!r}, allowed: a key of models without an adapter: main")
    assert ("did you mean 'main'" in said) == (base == "mian" or base == ["main"])


def test_a_base_without_an_adapter_has_no_sense() -> None:
    assert refused(tuned=MAIN | {"base": "main"}).startswith(
        "models.tuned.base: found 'main', not supported without an adapter"
    )


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("model", "micro-draft"),
        ("provider", "auto"),
        ("engine_args", {"seed": 2}),
        ("max_model_len", 100),
        ("speculative", "none"),
    ],
)
def test_what_contradicts_the_base_is_refused(key: str, found: Any) -> None:
    said = refused(tuned=TUNED | {key: found})
    assert said.startswith(f"models.tuned.{key}: found ")
    assert "an adapter shares the engine of its base 'main'" in said
    checked = ModelSettings.model_validate({**MAIN, **TUNED, key: found})
    assert refused(tuned=checked) == said


def test_only_vllm_loads_adapters() -> None:
    openai = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    with pytest.raises(ConfigError, match=r"models\.tuned\.adapter: .*give its name as model"):
        settings_from(config(openai, tuned=TUNED))
    with pytest.raises(ConfigError, match=r"models\.tuned\.adapter: .*'huggingface': only vllm"):
        settings_from(config({"provider": "huggingface", "model": "m"}, tuned=TUNED))


def test_a_relative_folder_is_relative_to_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        "task: {name: micro}\nmodels: {main: {provider: vllm, model: m}, tuned: {base: main, adapter: tuned}}\n"
    )
    assert load_settings(path).models["tuned"].adapter == str(tmp_path / "tuned")
    monkeypatch.chdir(Path("/"))
    assert load_settings(path, ["models.tuned.adapter=other"]).models["tuned"].adapter == "/other"
