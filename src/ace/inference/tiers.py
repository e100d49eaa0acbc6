"""Which backend answers a role, and which one where its call is escalated to a larger tier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ace.config import RunSettings
from ace.errors import ConfigError
from ace.inference.backend import Backend
from ace.inference.wrappers.lora_backend import engine_of
from ace.types import ROLES, RoleName

Backends = Mapping[RoleName, Backend] | Mapping[str, Backend]
"""Live backends under the names of the roles that they play, or of the models that they are."""


@dataclass(frozen=True, slots=True)
class Tiers:
    """The backends of a run: each role's own, and the larger ones of the roles that have one."""

    own: Mapping[RoleName, Backend]
    larger: Mapping[RoleName, Backend]

    @classmethod
    def of(cls, settings: RunSettings, backends: Backends) -> Tiers:
        """Sort `backends` by role and tier: a role's own is found by its name before its model's.

        ConfigError for a tier that has none.
        """
        named: dict[str, Backend] = {str(name): backend for name, backend in backends.items()}
        own: dict[RoleName, Backend] = {}
        larger: dict[RoleName, Backend] = {}
        for role in ROLES:
            wanted = settings.roles.of(role)
            own[role] = named[role] if role in named else _named(named, wanted.model)
            if wanted.escalate is not None:
                larger[role] = _named(named, wanted.escalate.model)
        return cls(own, larger)

    def get(self, role: RoleName, *, escalated: bool) -> Backend:
        """The backend that answers."""
        return self.larger[role] if escalated else self.own[role]

    def __iter__(self) -> Iterator[tuple[RoleName, bool, Backend]]:
        """Every role, whether escalated, and the backend."""
        yield from ((role, False, backend) for role, backend in self.own.items())
        yield from ((role, True, backend) for role, backend in self.larger.items())

    @property
    def live(self) -> tuple[Backend, ...]:
        """Every engine and endpoint once; adapters are views of their base's."""
        engines = (engine_of(backend) for _, _, backend in self)
        return tuple({id(engine): engine for engine in engines}.values())


def _named(backends: Mapping[str, Backend], name: str) -> Backend:
    if name not in backends:
        raise ConfigError.at("backends", ", ".join(backends), f"a backend for each role and for model '{name}'")
    return backends[name]
