"""From settings to live backends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from ace.config import ModelSettings, RunSettings
from ace.errors import ConfigError
from ace.inference.backend import Backend
from ace.inference.memory.engine_shares import memory_shares
from ace.inference.model_files.lora_adapter import Adapter, read_adapter
from ace.inference.provider_choice import provider_command, resolve_auto
from ace.inference.providers.provider_loader import MODULES, load_engine, load_provider
from ace.inference.serving.warm.discovery import find_warm
from ace.inference.wrappers.lazy_backend import LazyBackend
from ace.inference.wrappers.lora_backend import LoraBackend
from ace.inference.wrappers.retry import RetryingBackend
from ace.inference.wrappers.supervisor import SupervisedBackend

_DEFERRABLE = ("auto", "vllm", "huggingface")


def create_backend(settings: ModelSettings, *, share: float = 1.0, adapters: Sequence[Adapter] = ()) -> Backend:
    """Start the backend that `settings` name: an endpoint with retries around it, an engine under supervision.

    An engine that `ace serve-engine` keeps warm for the same settings is taken instead of one of our own, unless
    it has to answer with `adapters` besides (`LoraBackend`). Provider `ray` has engines on a cluster.
    `share` is the part of a device's memory that a vLLM engine of our own may take (`memory.engine_shares`).

    Raises ConfigError for a provider that cannot be started from settings, ProviderMissingError with the command that
    installs what is missing, ModelNotFoundError and ProviderStartError.
    """
    if settings.adapter is not None:
        raise ConfigError.at(
            "adapter", settings.adapter, "not supported here: it is a tier of a run, beside its base in models"
        )
    provider, reason = (settings.provider, "asked for") if settings.provider != "auto" else resolve_auto()
    if provider not in MODULES:
        why = "a script is given in Python: run(settings, backends=...)"
        raise ConfigError.at("provider", provider, ", ".join(("auto", *MODULES)), hint=why)
    if provider not in ("vllm", "ray"):
        _check_vllm_is_not_needed(settings, provider, reason)
    if provider == "openai":
        return RetryingBackend(load_provider(provider)(settings, reason), settings.max_retries)
    if provider == "ray":
        return load_provider(provider)(settings, reason)
    start = partial(_engine, settings, provider, reason, share, adapters)
    return SupervisedBackend(start, max_restarts=settings.max_restarts, hang_s=settings.timeout_s)


@asynccontextmanager
async def open_backends(
    settings: RunSettings, *, deferred: Callable[[Backend], None] | None = None
) -> AsyncIterator[dict[str, Backend]]:
    """Open the backends of the models that the roles name, by their keys in `models`, and close them at the end.

    Models with equal settings share one engine, and adapters that of their base. Where `deferred` is given, an engine
    of ours starts when it is first asked, if ever, and `deferred` hears of it then.

    ConfigError with the key under `models`; otherwise like `create_backend`, and none is left open.
    """
    live: list[tuple[ModelSettings, Backend]] = []
    engines: dict[str, Backend] = {}
    adapters = _adapters(settings)
    shares = memory_shares(settings)
    async with AsyncExitStack() as stack:
        for name in settings.engines_used:
            model = settings.models[name]
            engine = next((engine for settings_of, engine in live if settings_of == model), None)
            if engine is None:
                here = [one for key, one in adapters.items() if settings.models[settings.engine_of(key)] == model]
                start = partial(
                    create_backend,
                    model,
                    share=shares.get(name, 1.0),
                    adapters=tuple(dict.fromkeys(here)),
                )
                try:
                    if deferred is None or model.provider not in _DEFERRABLE:
                        engine = start()
                    else:
                        engine = LazyBackend(model, start, deferred)
                except ConfigError as error:
                    raise error.under(f"models.{name}") from None
                stack.push_async_callback(engine.close)
                live.append((model, engine))
            engines[name] = engine
        yield {name: _tier(engines[settings.engine_of(name)], adapters.get(name)) for name in settings.models_used}


def _tier(engine: Backend, adapter: Adapter | None) -> Backend:
    return engine if adapter is None else LoraBackend(engine, adapter.folder)


def _adapters(settings: RunSettings) -> dict[str, Adapter]:
    """The adapters of the run by their keys in `models`. ConfigError for one that no engine here can load."""
    by_key: dict[str, Adapter] = {}
    for name in settings.models_used:
        model = settings.models[name]
        if model.adapter is None:
            continue
        try:
            if model.provider == "auto" and (chosen := resolve_auto()).provider != "vllm":
                allowed = f"not supported with provider '{chosen.provider}', which auto chose because {chosen.reason}"
                raise ConfigError.at("adapter", model.adapter, allowed, hint=provider_command("vllm"))
            by_key[name] = read_adapter(model.adapter)
        except ConfigError as error:
            raise error.under(f"models.{name}") from None
    return by_key


def _check_vllm_is_not_needed(settings: ModelSettings, provider: str, reason: str) -> None:
    """ConfigError where `provider: auto` led to another one than vLLM, and the settings ask for what only that has."""
    method = settings.speculative.method
    for key, value in (("speculative", method), ("compile", settings.compile)):
        if value not in ("none", "auto", False):
            allowed = f"not supported with provider '{provider}', which auto chose because {reason}"
            raise ConfigError.at(key, value, allowed, hint=provider_command("vllm"))


def _engine(settings: ModelSettings, provider: str, reason: str, share: float, adapters: Sequence[Adapter]) -> Backend:
    """The warm engine for `settings`, or else one of our own."""
    warm, passed_over = (None, "") if adapters else find_warm(settings, provider, reason)
    if warm is not None:
        return warm
    return load_engine(settings, provider, _because(reason, passed_over), share=share, adapters=adapters)


def _because(reason: str, passed_over: str) -> str:
    return f"{reason}; {passed_over}" if passed_over else reason
