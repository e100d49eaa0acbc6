"""The completion cache: what a model answered once it need not be asked again, in whatever run."""

from __future__ import annotations

from dataclasses import replace

from ace._util.hashing import digest
from ace.config import CachePolicy, RunSettings
from ace.inference import ModelBinding
from ace.store import RunReader
from ace.types import ROLES, Completion, Request


class CompletionCache:
    """Looks answers up by everything that decides them: the model and how it is loaded, messages, sampling, schema.

    `cache: greedy` keeps answers drawn at temperature 0, where the seed decides nothing; `all` keeps sampled ones too,
    each under its seed.
    """

    def __init__(self, policy: CachePolicy, store: RunReader) -> None:
        self._policy, self._store = policy, store

    def key(self, binding: ModelBinding, request: Request) -> str | None:
        """Return the key of the bound model's answer to `request`; None where it is not cached."""
        greedy = request.sampling.temperature == 0
        if self._policy == "none" or (self._policy == "greedy" and not greedy):
            return None
        if greedy:
            request = replace(request, sampling=replace(request.sampling, seed=None))
        return digest({"model": binding.identity, "request": request.digest})

    def find(self, key: str) -> Completion | None:
        """The kept answer, marked as one that cost nothing."""
        return self._store.completion(key)


def has_answers(settings: RunSettings, store: RunReader) -> bool:
    """Whether a run of `settings` is likely to be answered from the cache alone: one of them is done, and the cache
    keeps what every role is told. Answers that are not there are asked for like any others.
    """
    roles = (settings.roles.of(role) for role in ROLES)
    kept = settings.cache == "all" or (settings.cache == "greedy" and all(role.temperature == 0 for role in roles))
    return kept and any(known.status == "done" for known in store.runs_of(settings.digest))
