"""Loading of providers: a provider's packages are imported only when it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from ace._util.extras import missing_package
from ace._util.gc_control import gc_disabled
from ace._util.torch_addons import hide_unusable_addons
from ace.config import ModelSettings
from ace.errors import ProviderStartError
from ace.inference.backend import Backend
from ace.inference.model_files.lora_adapter import Adapter
from ace.inference.provider_choice import provider_command

MODULES: Mapping[str, str] = {
    "vllm": "ace.inference.providers.vllm",
    "huggingface": "ace.inference.providers.huggingface",
    "openai": "ace.inference.providers.openai",
    "ray": "ace.inference.providers.ray",
}


class ProviderFactory(Protocol):
    """A provider's `create`: starts its backend. `reason` says why this provider was chosen."""

    def __call__(self, settings: ModelSettings, reason: str, **more: Any) -> Backend: ...


def load_engine(
    settings: ModelSettings, provider: str, reason: str, *, share: float = 1.0, adapters: Sequence[Adapter] = ()
) -> Backend:
    """Start an engine in this process, without supervision. `share` and `adapters` are for vLLM.

    ProviderMissingError, ModelNotFoundError, ProviderStartError.
    """
    more = {"share": share, "adapters": adapters} if provider == "vllm" else {}
    with gc_disabled():
        return load_provider(provider)(settings, reason, **more)


def load_provider(provider: str) -> ProviderFactory:
    """Import the provider's `create`. ProviderMissingError, ProviderStartError."""
    try:
        if provider == "huggingface":
            hide_unusable_addons()
        factory: ProviderFactory = import_module(MODULES[provider]).create
    except ModuleNotFoundError as error:
        command = provider_command(provider)
        package = error.name or provider
        raise missing_package(f"provider '{provider}' needs", package, provider=provider, command=command) from error
    except (ImportError, OSError) as error:
        raise ProviderStartError(f"provider '{provider}' is installed but cannot be imported: {error}") from error
    return factory
