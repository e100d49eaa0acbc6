"""vLLM's exceptions as errors of ace: the engine's own words, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ace._util.extras import missing_package
from ace.errors import (
    AceError,
    EngineDeadError,
    ModelNotFoundError,
    ProviderMissingError,
    ProviderStartError,
    RequestRejectedError,
)
from ace.inference.provider_choice import provider_command

_NO_MODEL = (
    "is not a valid model identifier",
    "does not appear to have a file named config.json",
    "invalid repository id",
    "cannot find any model weights",
)
_MEMORY = ("out of memory", "available memory", "free memory", "kv cache", "cache blocks")


@contextmanager
def starting(model: str) -> Iterator[None]:
    """Everything that goes wrong while an engine starts becomes one of our errors."""
    try:
        yield
    except AceError:
        raise
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "vllm":
            raise missing() from error
        raise _not_started(model, error) from error
    except Exception as error:
        raise _not_started(model, error) from error


def missing() -> ProviderMissingError:
    """The error for a machine without vllm."""
    return missing_package("provider 'vllm' needs", "vllm", provider="vllm", command=provider_command("vllm"))


def rejected(error: Exception) -> RequestRejectedError:
    """The error for a request that the engine would not take."""
    return RequestRejectedError(f"vLLM refuses the request: {words(error)}")


def dead(model: str, error: BaseException) -> EngineDeadError:
    """The error for every request of an engine that failed in a step."""
    return EngineDeadError(f"the vLLM engine of {model} died: {words(error)}", model=model)


def words(error: BaseException) -> str:
    """The engine's message in one line of at most 400 characters."""
    text = str(error)
    details = getattr(error, "errors", None)
    if callable(details):
        try:
            text = "; ".join(str(detail["msg"]).removeprefix("Value error, ") for detail in details())
        except Exception:  # `errors` of another library may be anything
            text = str(error)
    line = " ".join(text.split()) or "no reason given"
    line = line if len(line) <= 400 else line[:399] + "…"
    return line if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {line}"


def _not_started(model: str, error: Exception) -> ProviderStartError:
    text = words(error)
    chain = " ".join(str(link) for link in _chain(error)).lower()
    if any(sign in chain for sign in _NO_MODEL):
        return ModelNotFoundError(
            f"no model '{model}': {text}",
            hint="give a folder, or the id of a model on the Hugging Face hub that is cached or reachable from here",
            model=model,
        )
    hint = ""
    if any(sign in chain for sign in _MEMORY):
        hint = "lower max_model_len or gpu_memory_utilization, set engine_args.kv_cache_memory_bytes, or free memory"
    elif "gated" in chain or "401" in chain:
        hint = "the model asks for a licence: accept it on the hub and set HF_TOKEN"
    return ProviderStartError(f"vLLM could not start '{model}': {text}", hint=hint, model=model)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
