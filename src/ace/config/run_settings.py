"""The settings of a run: frozen pydantic models in which an unknown key is an error.

Every field has a working default except the task and the models. `RunSettings.digest` identifies what was run.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal, Self

import yaml
from pydantic import Field, SerializerFunctionWrapHandler, field_serializer, field_validator, model_validator

from ace._util.hashing import digest
from ace.config.adaptation_settings import AdaptationSettings
from ace.config.model_settings import ModelSettings
from ace.config.playbook_settings import PlaybookSettings
from ace.config.role_settings import RolesSettings
from ace.config.strict_model import Settings, refused
from ace.config.task_settings import TaskSettings
from ace.config.tracking_settings import TrackingSettings
from ace.types import ROLES

DEFAULT_STORE = "sqlite:///runs/ace.db"

CachePolicy = Literal["none", "greedy", "all"]
"""Answers in the completion cache: none, those at temperature 0, or all, each under its seed."""


class EvaluationSettings(Settings):
    """Evaluation of the test split with the first playbook and with the best one."""

    before: bool = True
    after: bool = True


class BudgetSettings(Settings):
    """Limits of a run over all roles; None is no limit. A run that reaches one can be resumed with more.

    `tokens` are prompt and completion tokens, `money` goes by the models' `price`, `wall_s` counts the work on batches
    and evaluations, `gpu_s` the same times the GPUs of the engines in this process.
    """

    calls: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    money: float | None = Field(default=None, gt=0.0)
    wall_s: float | None = Field(default=None, gt=0.0)
    gpu_s: float | None = Field(default=None, gt=0.0)


def _written(entry: Any) -> Mapping[str, Any]:
    """An entry of `models` as keys and values, whether it was checked before or not."""
    if isinstance(entry, ModelSettings):
        return entry.model_dump()
    return entry if isinstance(entry, Mapping) else {}


class RunSettings(Settings):
    """Everything that decides a run."""

    version: Literal[1] = 1
    name: str = Field(default="run", min_length=1)
    seed: int = Field(default=0, ge=0)
    mode: Literal["offline", "online", "evaluate", "probe"] = "offline"
    """Learn over epochs, learn from a stream, or only evaluate the initial playbook. `probe` is how the commands that
    evaluate many variants of a playbook record it; it cannot be asked for."""
    task: TaskSettings
    models: dict[str, ModelSettings] = Field(min_length=1)
    roles: RolesSettings = RolesSettings()
    prompts: str = "standard"
    adaptation: AdaptationSettings = AdaptationSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    playbook: PlaybookSettings = PlaybookSettings()
    budget: BudgetSettings = BudgetSettings()
    cache: CachePolicy = "greedy"
    store: str = DEFAULT_STORE
    tracking: TrackingSettings = TrackingSettings()

    @field_validator("models", mode="before")
    @classmethod
    def _adapters_are_their_base(cls, value: Any) -> Any:
        """Complete an adapter's entry by the keys of its base."""
        if not isinstance(value, Mapping):
            return value
        whole = dict(value)
        for name, entry in value.items():
            if not isinstance(entry, Mapping) or entry.get("adapter") is None:
                continue
            base = entry.get("base")
            plain = [key for key, other in value.items() if _written(other).get("adapter") is None]
            if base not in plain:
                near = next(iter(difflib.get_close_matches(str(base), plain, n=1)), None)
                allowed = f"a key of models without an adapter: {', '.join(plain) or 'there is none'}"
                raise refused(f"{name}.base", base, allowed, nearest=near)
            whole[name] = {**_written(value[base]), **entry}
        return whole

    @field_serializer("models", mode="wrap")
    def _adapters_in_short(self, models: dict[str, ModelSettings], dump: SerializerFunctionWrapHandler) -> Any:
        """An adapter's entry without what is its base's, so that the base can be varied."""
        short = ("base", "adapter", "price")
        return {
            name: entry if models[name].adapter is None else {key: entry[key] for key in short if key in entry}
            for name, entry in dump(models).items()
        }

    @model_validator(mode="after")
    def _adapters_say_what_their_base_says(self) -> Self:
        for name, model in self.models.items():
            if model.adapter is None:
                continue
            base = self.models.get(model.base or "")
            if base is None or base.adapter is not None:
                raise refused(f"models.{name}.base", model.base, "a key of models without an adapter")
            for key in ModelSettings.model_fields:
                own, inherited = getattr(model, key), getattr(base, key)
                if key not in ("base", "adapter", "price") and own != inherited:
                    values = [one.model_dump() if isinstance(one, Settings) else one for one in (own, inherited)]
                    allowed = f"nothing, or {values[1]!r}: an adapter shares the engine of its base '{model.base}'"
                    raise refused(f"models.{name}.{key}", values[0], allowed)
        return self

    @model_validator(mode="after")
    def _roles_name_models(self) -> Self:
        for key, named in self._named().items():
            if named not in self.models:
                near = next(iter(difflib.get_close_matches(named, self.models, n=1)), None)
                raise refused(key, named, f"a key of models: {', '.join(self.models)}", nearest=near)
        return self

    @model_validator(mode="after")
    def _scores_are_labels(self) -> Self:
        for role in ROLES:
            escalate = self.roles.of(role).escalate
            if escalate and escalate.score is not None and self.adaptation.labels != "given":
                allowed = f"not supported with labels '{self.adaptation.labels}': a grade may not steer the loop"
                raise refused(f"roles.{role}.escalate.score", escalate.score, allowed)
        return self

    @model_validator(mode="after")
    def _money_has_prices(self) -> Self:
        for name in self.models_used:
            if self.budget.money is not None and self.models[name].price is None:
                raise refused(f"models.{name}.price", None, "input and output, because budget.money is set")
        return self

    @property
    def models_used(self) -> tuple[str, ...]:
        """The keys of the models that the roles name, their own before the larger ones, each once."""
        return tuple(dict.fromkeys(self._named().values()))

    @property
    def engines_used(self) -> tuple[str, ...]:
        """The keys of the models that the run loads: of an adapter, its base's. Two of them may still be equal."""
        return tuple(dict.fromkeys(map(self.engine_of, self.models_used)))

    def engine_of(self, name: str) -> str:
        """The key of the model that answers for `name`: its base where it is an adapter, else itself."""
        return self.models[name].base or name

    @property
    def models_escalated(self) -> tuple[str, ...]:
        """The keys of the larger models, each once."""
        larger = [self.roles.of(role).escalate for role in ROLES]
        return tuple(dict.fromkeys(escalate.model for escalate in larger if escalate is not None))

    def _named(self) -> dict[str, str]:
        """The models that the roles name, each by where it is named."""
        own = {f"roles.{role}.model": self.roles.of(role).model for role in ROLES}
        larger = {f"roles.{role}.escalate.model": self.roles.of(role).escalate for role in ROLES}
        return own | {key: escalate.model for key, escalate in larger.items() if escalate is not None}

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the resolved settings' canonical JSON, but for budget and tracking.

        The budget decides how far a run goes, not where to; trackers only observe.
        """
        return digest(self.model_dump(mode="json", exclude={"budget", "tracking"}))

    def to_yaml(self) -> str:
        """The resolved settings as YAML that `load_settings` reads back."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        return text
