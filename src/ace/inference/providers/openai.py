"""Any OpenAI-compatible endpoint: `vllm serve`, SGLang, llama.cpp, Ollama, hosted ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Iterator
from typing import Any

import openai

from ace.config import ModelSettings
from ace.errors import (
    ConfigError,
    ModelNotFoundError,
    PromptTooLongError,
    ProviderStartError,
    RequestRejectedError,
    TransientError,
)
from ace.inference.backend import BackendInfo, EngineMeter
from ace.inference.providers.api_keys import api_key, without_key
from ace.types import Completion, FinishReason, Request, Usage

_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
_BYTES_PER_TOKEN = 4


def create(settings: ModelSettings, reason: str) -> OpenAIBackend:
    """A client for the endpoint; nothing is sent yet.

    ConfigError if a hosted endpoint's key is neither in the environment nor in a file.
    """
    started = time.perf_counter()
    key = api_key(settings)
    if key is None and settings.base_url is None:
        raise ConfigError.at(
            "api_key_env",
            settings.api_key_env,
            "the name of an environment variable that holds the API key; this one is not set",
            hint=f"export {settings.api_key_env}=..., set api_key_file, or name a server of your own as base_url",
        )
    client = openai.AsyncOpenAI(
        api_key=key or "EMPTY", base_url=settings.base_url, max_retries=0, timeout=settings.timeout_s
    )
    info = BackendInfo(
        provider="openai",
        model=settings.model,
        device=settings.base_url or "api.openai.com",
        max_model_len=settings.max_model_len,
        structured_outputs=True,
        start_s=time.perf_counter() - started,
        reason=reason,
    )
    return OpenAIBackend(client, info, settings, key)


class OpenAIBackend:
    """Streams each answer, so that the time to the first token is known. Retries are the caller's."""

    def __init__(self, client: openai.AsyncOpenAI, info: BackendInfo, settings: ModelSettings, key: str | None) -> None:
        self.info = info
        self._client = client
        self._extra = settings.engine_args
        self._timeout_s = settings.timeout_s
        self._key = key
        self._slots = asyncio.Semaphore(settings.max_concurrency)
        self._guides = True

    async def complete(self, request: Request) -> Completion:
        """An endpoint that refuses a JSON schema is asked without one from then on: answers are parsed all the same."""
        async with self._slots:
            if request.schema is not None and self._guides:
                try:
                    return await self._answer(request, guided=True)
                except RequestRejectedError as error:
                    if "response_format" not in str(error) and "schema" not in str(error):
                        raise
                    self._guides = False
            return await self._answer(request, guided=False)

    def count_tokens(self, text: str) -> int:
        """An estimate: the endpoint's tokenizer is not known. One token for every four bytes, rounded up."""
        return math.ceil(len(text.encode("utf-8", "surrogatepass")) / _BYTES_PER_TOKEN)

    def meter(self) -> EngineMeter | None:
        return None

    async def close(self) -> None:
        await self._client.close()

    async def _answer(self, request: Request, *, guided: bool) -> Completion:
        arguments: dict[str, Any] = {
            "model": self.info.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "max_tokens": request.sampling.max_tokens,
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.sampling.seed is not None:
            arguments["seed"] = request.sampling.seed
        if request.sampling.stop:
            arguments["stop"] = list(request.sampling.stop)
        if guided:
            schema = {"name": "answer", "schema": request.schema, "strict": True}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        extra = dict(self._extra)
        if request.sampling.ignore_eos:
            extra["extra_body"] = {**extra.get("extra_body", {}), "ignore_eos": True}  # vLLM's and SGLang's name for it
        with _errors(self.info.model, self.info.device, self._key):
            # The library's own time-out is for the pause between two reads, which a slow trickle never reaches.
            async with asyncio.timeout(self._timeout_s):
                return await self._stream({**arguments, **extra})

    async def _stream(self, arguments: dict[str, Any]) -> Completion:
        started = time.perf_counter()
        first: float | None = None
        texts: list[str] = []
        reason: str | None = None
        usage: Any = None
        stream = await self._client.chat.completions.create(**arguments)
        async with stream:
            async for chunk in stream:
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    if choice.delta.content:
                        first = first or time.perf_counter()
                        texts.append(choice.delta.content)
                    reason = choice.finish_reason or reason
        if reason is None:
            raise TransientError("the endpoint's answer ended before it was finished")
        return Completion(
            text=without_key("".join(texts), self._key),
            finish_reason=_FINISH.get(reason, "error"),
            usage=_usage(usage, first and first - started, time.perf_counter() - started),
            model=self.info.model,
        )


def _usage(reported: Any, ttft_s: float | None, total_s: float) -> Usage:
    """Zero tokens where the endpoint reports none."""
    details = getattr(reported, "prompt_tokens_details", None)
    return Usage(
        prompt_tokens=getattr(reported, "prompt_tokens", 0) or 0,
        cached_tokens=getattr(details, "cached_tokens", 0) or 0,
        completion_tokens=getattr(reported, "completion_tokens", 0) or 0,
        ttft_s=ttft_s,
        total_s=total_s,
    )


@contextlib.contextmanager
def _errors(model: str, endpoint: str, key: str | None = None) -> Iterator[None]:
    """The one place where the client library's errors become ours. No key is ever in a message."""
    try:
        yield
    except (openai.APITimeoutError, TimeoutError) as error:
        raise TransientError(f"{endpoint}: no answer in time") from error
    except openai.APIConnectionError as error:
        raise TransientError(
            f"{endpoint}: the connection failed: {without_key(str(error.__cause__ or error), key)}",
            # Not by class: versions of the library bring HTTP clients of different packages.
            unreachable=type(error.__cause__).__name__ == "ConnectError",
        ) from error
    except openai.AuthenticationError as error:
        raise ProviderStartError(f"{endpoint}: the API key is not accepted", hint="see models.*.api_key_env") from error
    except openai.PermissionDeniedError as error:
        raise ProviderStartError(f"{endpoint}: the API key may not use '{model}'") from error
    except openai.NotFoundError as error:
        raise ModelNotFoundError(f"{endpoint}: no model '{model}', or no chat endpoint there", model=model) from error
    except openai.APIStatusError as error:
        raise _status_error(endpoint, error, key) from error
    except (openai.OpenAIError, json.JSONDecodeError) as error:
        raise TransientError(f"{endpoint}: the answer cannot be read: {without_key(str(error), key)}") from error


def _status_error(
    endpoint: str, error: openai.APIStatusError, key: str | None
) -> TransientError | RequestRejectedError | PromptTooLongError:
    status = error.status_code
    if status in (408, 409, 429) or status >= 500:
        return TransientError(f"{endpoint}: HTTP {status}", status=status, retry_after_s=_retry_after(error))
    text = without_key(str(error), key)[:500]
    if "context length" in text or "context_length_exceeded" in text or "maximum context" in text:
        return PromptTooLongError(f"{endpoint}: {text}", prompt_tokens=None, max_model_len=None)
    return RequestRejectedError(f"{endpoint}: HTTP {status}: {text}", status=status)


def _retry_after(error: openai.APIStatusError) -> float | None:
    value = error.response.headers.get("retry-after")
    try:
        return min(120.0, float(value)) if value is not None else None
    except ValueError:
        return None
