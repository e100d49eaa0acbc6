"""From settings to live backends. A provider's packages are imported only when it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Protocol

from ace.config import ModelSettings, RunSettings
from ace.errors import ConfigError, ProviderMissingError, ProviderStartError
from ace.inference.auto import resolve_auto
from ace.inference.backend import Backend
from ace.inference.imports import uncollected
from ace.inference.memory import memory_shares
from ace.inference.retry import RetryingBackend
from ace.inference.supervised import SupervisedBackend
from ace.inference.warm.finding import find_warm
from ace.types import ROLES

_MODULES: Mapping[str, str] = {
    "vllm": "ace.inference.vllm",
    "huggingface": "ace.inference.huggingface",
    "openai": "ace.inference.openai",
}
_COMMANDS: Mapping[str, str] = {
    "vllm": "pip install 'ace-vllm[cpu]', or 'ace-vllm[vllm]' on a GPU",
    "huggingface": "pip install 'ace-vllm[hf]'",
    "openai": "pip install 'ace-vllm[openai]'",
}


class _Factory(Protocol):
    def __call__(self, settings: ModelSettings, reason: str, **place: float) -> Backend: ...


def create_backend(settings: ModelSettings, *, share: float = 1.0) -> Backend:
    """Start the backend that `settings` name: an endpoint with retries around it, an engine under supervision.

    An engine that `ace serve-engine` keeps warm for the same settings is taken instead of one of our own. `share`
    is the part of a device's memory that a vLLM engine of our own may take (`ace.inference.memory`).

    Raises ConfigError for a provider that cannot be started from settings, ProviderMissingError with the command that
    installs what is missing, ModelNotFoundError and ProviderStartError.
    """
    provider, reason = (settings.provider, "asked for") if settings.provider != "auto" else resolve_auto()
    if provider not in _MODULES:
        why = {
            "ray": "a Ray cluster is not in this version",
            "scripted": "a script is given in Python: run(settings, backends=...)",
        }[provider]
        raise ConfigError.at("provider", provider, ", ".join(("auto", *_MODULES)), hint=why)
    if provider != "vllm":
        _check_vllm_is_not_needed(settings, provider, reason)
    if provider == "openai":
        return RetryingBackend(_load(provider)(settings, reason), settings.max_retries)
    place = {"share": share} if provider == "vllm" else {}
    return SupervisedBackend(
        lambda: _engine(settings, provider, reason, place),
        max_restarts=settings.max_restarts,
        hang_s=settings.timeout_s,
    )


@asynccontextmanager
async def open_backends(settings: RunSettings) -> AsyncIterator[dict[str, Backend]]:
    """A backend under the name of each role and of each model that a role may ask, closed at the end.

    Models with equal settings share one engine.

    ConfigError with the key under `models`; otherwise like `create_backend`, and none is left open.
    """
    live: list[tuple[ModelSettings, Backend]] = []
    models: dict[str, Backend] = {}
    shares = memory_shares(settings)
    async with AsyncExitStack() as stack:
        for name in settings.models_used:
            wanted = settings.models[name]
            backend = next((held for known, held in live if known == wanted), None)
            if backend is None:
                try:
                    backend = create_backend(wanted, share=shares.get(name, 1.0))
                except ConfigError as error:
                    raise error.under(f"models.{name}") from None
                stack.push_async_callback(backend.close)
                live.append((wanted, backend))
            models[name] = backend
        yield models | {role: models[settings.roles.of(role).model] for role in ROLES}


def _check_vllm_is_not_needed(settings: ModelSettings, provider: str, reason: str) -> None:
    """ConfigError where `provider: auto` led to another one than vLLM, and the settings ask for what only that has."""
    method = settings.speculative.method
    for key, found in (("speculative", method), ("compile", settings.compile)):
        if found not in ("none", "auto", False):
            allowed = f"nothing, with provider '{provider}', which auto chose because {reason}"
            raise ConfigError.at(key, found, allowed, hint=_COMMANDS["vllm"])


def _engine(settings: ModelSettings, provider: str, reason: str, place: Mapping[str, float]) -> Backend:
    """The warm engine for `settings`, or else one of our own."""
    warm, passed_over = find_warm(settings, provider, reason)
    if warm is not None:
        return warm
    with uncollected():
        return _load(provider)(settings, f"{reason}; {passed_over}" if passed_over else reason, **place)


def _load(provider: str) -> _Factory:
    try:
        factory: _Factory = import_module(_MODULES[provider]).create
    except ModuleNotFoundError as error:
        command = _COMMANDS[provider]
        raise ProviderMissingError(
            f"provider '{provider}' needs the package '{error.name}', which is not installed",
            hint=command,
            provider=provider,
            package=error.name,
            command=command,
        ) from error
    except (ImportError, OSError) as error:
        raise ProviderStartError(f"provider '{provider}' is installed but cannot be imported: {error}") from error
    return factory
