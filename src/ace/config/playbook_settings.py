"""`playbook:` - first playbook, size limits, guard, dedup, and the part that prompts show."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ace.config.strict_model import Settings, refused

LARGEST_AUTO_BUDGET = 8192
"""Tokens that `token_budget: auto` gives a playbook where the models' contexts allow it or are not known."""


class DedupSettings(Settings):
    """Detection of duplicate bullets, without a model call. `model` names that of `sentence-transformers`."""

    enabled: bool = True
    threshold: float = Field(default=0.92, gt=0.0, le=1.0)
    embedder: Literal["ngram", "sentence-transformers"] = "ngram"
    model: str | None = None

    @model_validator(mode="after")
    def _model_fits_the_embedder(self) -> Self:
        if self.embedder == "sentence-transformers" and self.model is None:
            raise refused("model", None, "the name of a model for the embedder 'sentence-transformers'")
        if self.embedder == "ngram" and self.model is not None:
            raise refused("model", self.model, "null with the embedder 'ngram'")
        return self


class GuardSettings(Settings):
    """Treatment of a new bullet with content that no playbook should have: see `ace.playbook.guard`.

    `warn` lets it in and says so; `quarantine` keeps it for people to judge, out of every prompt.
    """

    policy: Literal["off", "warn", "quarantine"] = "warn"

    @field_validator("policy", mode="before")
    @classmethod
    def _off_is_no_boolean(cls, value: Any) -> Any:
        """YAML reads a bare `off` as false."""
        return "off" if value is False else value


class WorkingSetSettings(Settings):
    """The part of a large playbook that an epoch's or an evaluation's prompts show: bullets of at most `tokens`."""

    tokens: int = Field(ge=1)


class PlaybookSettings(Settings):
    """The playbook: where it starts, and the tokens (of the generator's tokenizer) that it may never exceed.

    With `auto` these are half of the smallest context of the run's models, and 8192 at most: the other half holds the
    sample, what a role has to do, and the answer.
    `compaction` is when the prefix log is written anew: at the end of each `epoch`, `never`, or whenever it pays
    (`auto`, see `ace.playbook.limits.compaction`). `cached_token_cost` is what a token in the prefix costs a call, as a
    share of what it costs to compute it. With `working_set` prompts show only a part of the playbook.
    """

    initial: str | None = None
    token_budget: Annotated[int, Field(ge=1)] | Literal["auto"] | None = "auto"
    dedup: DedupSettings = DedupSettings()
    guard: GuardSettings = GuardSettings()
    compaction: Literal["auto", "epoch", "never"] = "epoch"
    cached_token_cost: float = Field(default=0.1, ge=0.0)
    working_set: WorkingSetSettings | None = None

    def budget(self, context: int | None) -> int | None:
        """Tokens that the playbook may have where the smallest context has `context` tokens; None for no limit."""
        if self.token_budget != "auto":
            return self.token_budget
        if context is None or self.working_set is not None:  # a working set has a limit of its own
            return LARGEST_AUTO_BUDGET
        return max(1, min(LARGEST_AUTO_BUDGET, context // 2))
