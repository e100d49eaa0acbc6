"""The completion cache: what a model answered once it need not be asked again, in whatever run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ace._util.hashing import digest
from ace.config import ModelSettings, RunSettings
from ace.inference import Backend, Tiers, model_path
from ace.store import RunReader
from ace.types import ROLES, Completion, Request, RoleName


class CompletionCache:
    """Looks answers up by everything that decides them: the model and how it is loaded, messages, sampling, schema.

    `cache: greedy` keeps answers drawn at temperature 0, where the seed decides nothing; `all` keeps sampled ones too,
    each under its seed.
    """

    def __init__(self, settings: RunSettings, tiers: Tiers, store: RunReader) -> None:
        self._policy, self._store = settings.cache, store
        self._models = {
            (role, larger): model_identity(settings.models[settings.roles.model_of(role, escalated=larger)], backend)
            for role, larger, backend in tiers
        }

    def key(self, role: RoleName, request: Request, *, escalated: bool = False) -> str | None:
        """Where the answer to `request` is kept; None where it is not to be."""
        greedy = request.sampling.temperature == 0
        if self._policy == "none" or (self._policy == "greedy" and not greedy):
            return None
        if greedy:
            request = replace(request, sampling=replace(request.sampling, seed=None))
        return digest({"model": self._models[role, escalated], "request": request.digest})

    def find(self, key: str) -> Completion | None:
        """The kept answer, marked as one that cost nothing."""
        return self._store.completion(key)


def has_answers(settings: RunSettings, store: RunReader) -> bool:
    """Whether a run of `settings` is likely to be answered from the cache alone: one of them is done, and the cache
    keeps what every role is told. Answers that are not there are asked for like any others."""
    roles = (settings.roles.of(role) for role in ROLES)
    kept = settings.cache == "all" or (settings.cache == "greedy" and all(role.temperature == 0 for role in roles))
    return kept and any(known.status == "done" for known in store.runs_of(settings.digest))


def model_identity(settings: ModelSettings, backend: Backend) -> dict[str, Any]:
    """What tells one model's answers from another's. A model or adapter in a folder changes with the folder's files."""
    info = backend.info
    here = info.provider in ("vllm", "huggingface")
    identity = {
        "provider": info.provider,
        "model": info.model,
        "base_url": settings.base_url,
        "dtype": settings.dtype,
        "engine_args": settings.engine_args,
        "files": _files(Path(model_path(info.model))) if here else [],
    }
    if info.adapter is None:
        return identity
    return identity | {"adapter": info.adapter, "adapter_files": _files(Path(info.adapter))}


def _files(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of the files in `folder`; none where it is no folder."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
