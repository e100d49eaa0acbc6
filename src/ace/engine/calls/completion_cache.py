"""The completion cache: answers of earlier calls, shared by all runs of a store."""

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
        """Look up an answer. It is marked as one without usage."""
        return self._store.completion(key)


def has_answers(settings: RunSettings, store: RunReader) -> bool:
    """Return True if the cache probably has all answers of a run of `settings`.

    One such run is done, and the policy caches every role. Answers that are missing all the same come from the model.
    """
    roles = (settings.roles.of(role) for role in ROLES)
    cached = settings.cache == "all" or (settings.cache == "greedy" and all(role.temperature == 0 for role in roles))
    return cached and any(run.status == "done" for run in store.runs_of(settings.digest))
