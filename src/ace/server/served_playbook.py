"""The playbook versions of a run that requests are served behind: the newest, a pinned one, or a canary's share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from ace.errors import ConfigError, RunNotFoundError
from ace.store import RunReader

PREFIX = "ace/"
"""How the names of our models begin: `ace/RUN`, `ace/RUN@VERSION`."""
_CACHED_VERSIONS = 64


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """A version of the run's playbook as text for a system message. `version` is None where none is wanted."""

    run: str
    version: int | None
    text: str

    @property
    def name(self) -> str:
        """`RUN@VERSION`, as the response's header names it."""
        return "none" if self.version is None else f"{self.run}@{self.version}"


class PlaybookSource:
    """Chooses the version of `run` for each request.

    With a `canary` share in (0, 1) so many requests get the newest version, and the others the stable one: `stable`,
    or the newest of the start. Without a canary all get `stable`, or always the newest.
    """

    def __init__(self, store: RunReader, run: str, *, stable: str | None = None, canary: float = 0.0) -> None:
        self._store, self.run, self._canary = store, run, canary
        self.oldest, self.newest = store.version_range(run)
        self._stable = self._number(stable) if stable is not None else (self.newest if canary else None)
        self._load = lru_cache(maxsize=_CACHED_VERSIONS)(self._read)
        self._load(self.stable)

    @property
    def stable(self) -> int:
        """The version that requests outside the canary get."""
        return self.newest if self._stable is None else self._stable

    def refresh(self) -> None:
        """Read whether there is a newer version, and load it. Blocks."""
        _, newest = self._store.version_range(self.run)
        self._load(newest)
        self.newest = newest

    def choose(self, pin: str | None, subject: str) -> ServedVersion:
        """The version `pin` (a number, `latest`, `best`, `none`), or else what the canary's share gives `subject`.

        The same subject gets the same side of the canary at every request. RunNotFoundError for a version that the run
        does not have, ConfigError for a pin that is none. Blocks where a pinned version is not loaded yet.
        """
        if pin == "none":
            return ServedVersion(self.run, None, "")
        if pin is not None:
            return self._load(self._number(pin))
        if self.newest != self.stable and _share(f"{self.run}:{subject}") < self._canary:
            return self._load(self.newest)
        return self._load(self.stable)

    def pin_in(self, model: str) -> str | None:
        """The version in a model's name, None where it names none. RunNotFoundError for a run that is not served."""
        name, _, pin = model.removeprefix(PREFIX).partition("@")
        if name not in (self.run, "latest"):
            raise RunNotFoundError(f"no model '{model}' here", hint=f"this server has {PREFIX}{self.run}")
        return pin or None

    def _number(self, pin: str) -> int:
        if pin == "latest":
            return self.newest
        if pin == "best":
            best = self._store.run(self.run).best_version
            return self.newest if best is None else best
        if not (pin.isascii() and pin.isdigit()):
            raise ConfigError.at("playbook version", pin, "a number, latest, best or none")
        return int(pin)

    def _read(self, version: int) -> ServedVersion:
        return ServedVersion(self.run, version, self._store.playbook(self.run, version).as_system_prompt())


def _share(subject: str) -> float:
    """A number in [0, 1) that is the same for the same subject everywhere."""
    return int.from_bytes(hashlib.sha256(subject.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64
