"""Benchmark modes for a user's config: any model, any task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ace.bench.adaptation_runs.run_modes import EARLY, EARLY_NAME, PLAIN_NAME, Mode, together
from ace.config import RunSettings, load_settings, merged, settings_from
from ace.engine.run_inputs import RunInputs, load_inputs
from ace.errors import ConfigError
from ace.inference.model_files.hub import local_folder
from ace.types import ROLES

MAIN, SMALL = "main", "small"
"""Keys of `models`: what is measured, and what may play the small roles and draft."""


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """A config's path and what the command line sets besides."""

    path: str
    overrides: tuple[str, ...] = ()

    @property
    def options(self) -> str:
        """The name on a command line; paths become the names of their files and folders."""
        return f"--config {Path(self.path).name}" + "".join(f" --set {_without_folder(one)}" for one in self.overrides)

    def load(self) -> RunSettings:
        """The settings, with models as folders on this machine. ConfigError without a model `main`."""
        settings = load_settings(self.path, self.overrides)
        if MAIN not in settings.models:
            raise ConfigError.at("models", ", ".join(settings.models), f"a model '{MAIN}', which is measured")
        models = {
            name: {"model": local_folder(settings.models[name])} for name in (MAIN, SMALL) if name in settings.models
        }
        return settings_from(merged(settings.model_dump(mode="json"), {"models": models}))

    def load_inputs(self) -> RunInputs:
        """Task, prompts and playbook. ConfigError where there is nothing to learn from or to be judged by."""
        inputs = load_inputs(self.load())
        for split in ("train", "test"):
            if not getattr(inputs.task.splits, split):
                raise ConfigError.at(f"task.{split}", "no samples", "at least one to measure with")
        return inputs


def _without_folder(override: str) -> str:
    key, _, value = override.partition("=")
    return f"{key}={Path(value).name}" if value.startswith(("/", "~", "./", "../")) else override


def config_modes(settings: RunSettings) -> tuple[Mode, ...]:
    """The ways to run a config; those with a small model where its models have a `small`."""
    modes = [
        Mode("transformers, one by one", "huggingface", serial=True),
        Mode("transformers, batched", "huggingface"),
        Mode("vLLM, one by one", serial=True),
        Mode(PLAIN_NAME),
        Mode(EARLY_NAME, settings=EARLY),
    ]
    if SMALL in settings.models:
        tiers = {"roles": {role: {"model": SMALL} for role in ("reflector", "curator")}}
        modes.append(Mode("vLLM, early stopping, small reflector and curator", settings=together(EARLY, tiers)))
    modes.append(Mode("vLLM, speculative (n-gram)", settings=_speculative({"method": "ngram"})))
    if SMALL in settings.models:
        draft = {"method": "draft", "model": settings.models[SMALL].model}
        modes.append(Mode("vLLM, speculative (draft)", settings=_speculative(draft)))
    return tuple(modes)


def _speculative(method: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"models": {MAIN: {"speculative": dict(method)}}}


def config_settings(mode: Mode, source: ConfigSource, *, store: str, repetition: int) -> RunSettings:
    """One adaptation as the config says, by `mode`. Each repetition draws and shuffles by a seed of its own.

    All roles are the model `main` unless the mode says otherwise, every call is made, and the one evaluation is that of
    the held-out samples at the end.
    """
    settings = source.load()
    providers = {name: {"provider": mode.provider} for name in (MAIN, SMALL) if name in settings.models}
    same: dict[str, Any] = {
        "store": store,
        "cache": "none",
        "seed": settings.seed + repetition,
        "models": providers,
        "roles": {role: {"model": MAIN, "escalate": None} for role in ROLES},
        "adaptation": {"validate_each_epoch": False},
        "evaluation": {"before": False, "after": True},
    }
    return settings_from(merged(merged(settings.model_dump(mode="json"), same), mode.settings))
