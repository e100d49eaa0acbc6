"""`roles:` - the model and the sampling of each role, and its escalation to a larger model."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ace.config.strict_model import Settings, refused
from ace.types import ROLES, RoleName


class EscalationSettings(Settings):
    """When a role asks the larger model `model`, a key of `models`, in the place of its own.

    Before its own model is asked, for a prompt of more than `prompt_tokens` tokens, or that does not fit; and, for
    the generator's retries and the reflector, where the answer at hand was graded at most `score`, or from round
    `rounds` on. After its own model was asked, once more: where its answer cannot be read (`parse_failure`), where the
    reflector would be stopped early beside an answer that is still wrong (`stalled`), and where the playbook after the
    curation covers less than the share `coverage` of the insights, by the rules of dedup.
    """

    model: str
    parse_failure: bool = True
    stalled: bool = True
    score: float | None = Field(default=None, ge=0.0, le=1.0)
    rounds: int | None = Field(default=None, ge=1)
    prompt_tokens: int | None = Field(default=None, ge=1)
    coverage: float | None = Field(default=None, gt=0.0, le=1.0)


class RoleSettings(Settings):
    """A role: its model, the sampling of its answers, and the escalation to a larger model."""

    model: str = "main"
    escalate: EscalationSettings | None = None
    max_tokens: int = Field(default=2048, ge=1)
    temperature: float = Field(default=0.1, ge=0.0)
    top_p: float = Field(default=0.95, gt=0.0, le=1.0)


class GeneratorSettings(RoleSettings):
    """The generator: a role that may answer without reasoning.

    Without `reasoning` it answers at once and names the bullet that decides afterwards, for far fewer tokens.
    """

    reasoning: bool = True


class RolesSettings(Settings):
    """The three roles."""

    generator: GeneratorSettings = GeneratorSettings()
    reflector: RoleSettings = RoleSettings()
    curator: RoleSettings = RoleSettings()

    @model_validator(mode="after")
    def _escalation_fits_the_role(self) -> Self:
        for role in ROLES:
            if (escalate := self.of(role).escalate) is None:
                continue
            for key, roles in _ESCALATED_BY.items():
                if role not in roles and getattr(escalate, key) is not None:
                    allowed = f"not supported here: it is for the {' and the '.join(roles)}"
                    raise refused(f"{role}.escalate.{key}", getattr(escalate, key), allowed)
            if escalate.model == self.of(role).model:
                raise refused(f"{role}.escalate.model", escalate.model, "another model than the role's own")
        return self

    def of(self, role: RoleName) -> RoleSettings:
        """The settings of `role`."""
        settings: RoleSettings = getattr(self, role)
        return settings

    def model_of(self, role: RoleName, *, escalated: bool = False) -> str:
        """The key of the model that answers `role`, its own or the larger one."""
        settings = self.of(role)
        return settings.escalate.model if escalated and settings.escalate else settings.model


_ESCALATED_BY: dict[str, tuple[RoleName, ...]] = {
    "score": ("generator", "reflector"),
    "rounds": ("generator", "reflector"),
    "coverage": ("curator",),
}
"""The keys of `escalate` that say nothing to the other roles."""
