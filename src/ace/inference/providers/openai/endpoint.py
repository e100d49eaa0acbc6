"""The backend for an endpoint: how a request is put, and what is made of the answer."""

from __future__ import annotations

import asyncio
import inspect
import math
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from ace._util.masking import mask_values
from ace.config import ModelSettings
from ace.errors import ConfigError, ProviderStartError, RequestRejectedError, TransientError
from ace.inference.backend import BackendInfo, EngineMeter
from ace.inference.providers.api_keys import api_key
from ace.inference.providers.openai.answer_stream import StreamedAnswer, read_answer
from ace.inference.providers.openai.dialect import Dialect
from ace.inference.providers.openai.endpoint_errors import Endpoint
from ace.inference.providers.openai.token_prompts import TokenPrompts
from ace.types import Completion, Request, Usage

_BYTES_PER_TOKEN = 4
_LEAST_PROMPT, _LEAST_SHARE = 2000, 0.35
"""A prompt of so many tokens by our estimate is cut where the server counts less than this share of them."""


def connect(settings: ModelSettings, reason: str) -> OpenAIBackend:
    """A client for the endpoint at `base_url`; nothing is sent yet. See `create`."""
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
        api_key=key or "EMPTY",
        base_url=settings.base_url,
        max_retries=0,
        timeout=settings.timeout_s,
        http_client=openai.DefaultAsyncHttpxClient(verify=_tls_context()),
    )
    _check_arguments(client, settings.engine_args)
    info = BackendInfo(
        provider="openai",
        model=settings.model,
        device=settings.base_url or urlsplit(str(client.base_url)).hostname or "api.openai.com",
        max_model_len=settings.max_model_len,
        structured_outputs=True,
        start_s=time.perf_counter() - started,
        reason=reason,
    )
    return OpenAIBackend(client, info, settings, key)


@cache
def _tls_context() -> ssl.SSLContext:
    """The process's one: it reads all certificates of the system, which takes 25 ms."""
    context: ssl.SSLContext = httpx2.create_ssl_context()
    return context


class OpenAIBackend:
    """Streams each answer, so that the time to the first token is known. Retries are the caller's.

    What the server refuses of a request's form is put in another form, from then on, and noted in `Completion.notes`.
    """

    def __init__(self, client: openai.AsyncOpenAI, info: BackendInfo, settings: ModelSettings, key: str | None) -> None:
        self.info = info
        self._client = client
        self._extra = settings.engine_args
        self._timeout_s = settings.timeout_s
        self._key = key
        self._endpoint = Endpoint(info.device, info.model, key)
        self._slots = asyncio.Semaphore(settings.max_concurrency)
        self._dialect = Dialect()
        self._token_prompts = TokenPrompts(client, settings)
        self._proven: Dialect | None = None
        self._cuts = False
        self.watch: Callable[[Mapping[str, str]], None] = lambda headers: None
        """Called with the headers of each answer, in lower case."""

    async def complete(self, request: Request) -> Completion:
        """Ask until the server takes the request's form. Each other form is tried once."""
        async with self._slots:
            dialect = self._dialect
            while True:
                try:
                    completion = await self._ask(request, dialect)
                except (RequestRejectedError, TransientError) as error:
                    other = dialect.next_form(error, request, self._proven)
                    if other is None:
                        raise
                    dialect = other
                else:
                    return self._learn(dialect, completion, self._estimate(request))

    async def is_alive(self, timeout_s: float) -> bool:
        """Return True if the endpoint answers at all: not each has a list of models to show."""
        try:
            await self._client.models.list(timeout=timeout_s)
        except openai.APIStatusError as error:
            return bool(error.status_code < 500)
        except openai.OpenAIError:
            return False
        return True

    def count_tokens(self, text: str) -> int:
        """An estimate: the endpoint's tokenizer is not known. One token for every four bytes, rounded up."""
        return math.ceil(len(text.encode("utf-8", "surrogatepass")) / _BYTES_PER_TOKEN)

    def meter(self) -> EngineMeter | None:
        return None

    async def close(self) -> None:
        await self._client.close()

    def _learn(self, dialect: Dialect, completion: Completion, expected: int) -> Completion:
        """Use `dialect` from now on, and tell what is new. The prompt has about `expected` tokens."""
        before, self._dialect = self._dialect, self._dialect.merged(dialect)
        self._proven = dialect
        changes = before.changes(self._dialect)
        if not self._cuts and (cut := _cut_prompt(completion.usage, expected)):
            self._cuts = True
            changes.append(cut)
        notes = (*self._token_prompts.take_remark(), *(f"{self.info.model}: {change}" for change in changes))
        return replace(completion, notes=notes)

    async def _ask(self, request: Request, dialect: Dialect) -> Completion:
        arguments = {**dialect.arguments(self.info.model, request), **self._extra}
        if request.sampling.ignore_eos:  # vLLM's and SGLang's name for it
            arguments["extra_body"] = {**arguments.get("extra_body", {}), "ignore_eos": True}
        started = time.perf_counter()
        with self._endpoint.errors():
            # The library's own time-out is for the pause between two reads, which a slow trickle never reaches.
            async with asyncio.timeout(self._timeout_s):
                answer = await self._read(await self._token_prompts.arguments(request, arguments), arguments)
        return self._completion(request, answer, started)

    async def _read(self, tokens: Mapping[str, Any] | None, chat: Mapping[str, Any]) -> StreamedAnswer:
        """The answer to a prompt of tokens, where there is one, or else to a chat."""
        completions: Any = self._client.chat.completions if tokens is None else self._client.completions
        async with completions.with_streaming_response.create(**(tokens or chat)) as response:
            self.watch({name.lower(): value for name, value in response.headers.items()})
            try:
                async with aclosing(self._bytes(response)) as body:
                    return await read_answer(body, lambda error: self._endpoint.failure(None, error))
            except TransientError as error:
                if not error.facts.get("web_page"):
                    raise
                raise ProviderStartError(
                    f"{self.info.device}: {error.message}, not with an answer",
                    hint="see models.*.base_url, which ends in /v1 with most servers",
                ) from None

    async def _bytes(self, response: Any) -> AsyncGenerator[bytes, None]:
        """The body as it comes. What breaks off in it is a connection that failed, whichever HTTP client says so."""
        try:
            # Closed here and not by the garbage collector, which would close the generators inside each other at once.
            async with aclosing(response.iter_bytes()) as pieces:
                async for piece in pieces:
                    yield piece
        except Exception as error:
            raise self._endpoint.unreachable(error) from error

    def _completion(self, request: Request, answer: StreamedAnswer, started: float) -> Completion:
        text, reasoning = (mask_values(part, (self._key,)) for part in (answer.text, answer.thought))
        ttft_s = answer.first_at and answer.first_at - started
        return Completion(
            text=text,
            finish_reason=answer.finish_reason,
            usage=self._usage(request, answer, ttft_s, time.perf_counter() - started),
            model=self.info.model,
            reasoning="" if text == reasoning else reasoning,
            finish_detail=answer.finish_detail if answer.finish_reason == "error" else "",
        )

    def _estimate(self, request: Request) -> int:
        return sum(self.count_tokens(message.content) for message in request.messages)

    def _usage(self, request: Request, answer: StreamedAnswer, ttft_s: float | None, total_s: float) -> Usage:
        """As the endpoint reports it. What it leaves out is estimated, and counted as estimated."""
        reported, timings = answer.usage, answer.timings
        prompt = _number(reported, "prompt_tokens", "input_tokens") or _sum(timings, "prompt_n", "cache_n")
        completion = _number(reported, "completion_tokens", "output_tokens") or _number(timings, "predicted_n")
        estimated = 0
        if not prompt:
            prompt = self._estimate(request)
            estimated += prompt
        if not completion:
            apart = "" if answer.text == answer.thought else answer.text
            completion = self.count_tokens(answer.thought) + self.count_tokens(apart)
            estimated += completion
        cached = _number(reported.get("prompt_tokens_details"), "cached_tokens") or _number(
            reported, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"
        )
        thought = _number(reported.get("completion_tokens_details"), "reasoning_tokens") or _number(
            reported, "reasoning_tokens"
        )
        if not thought and answer.content:
            thought = self.count_tokens(answer.thought)
        return Usage(
            prompt_tokens=prompt,
            cached_tokens=min(cached or _number(timings, "cache_n"), prompt),
            completion_tokens=completion,
            ttft_s=ttft_s,
            total_s=total_s,
            reasoning_tokens=min(thought, completion),
            estimated_tokens=estimated,
        )


def _cut_prompt(usage: Usage, expected: int) -> str | None:
    """A warning where a server counts so few prompt tokens that it must have cut the prompt, as some do silently."""
    if expected < _LEAST_PROMPT or usage.estimated_tokens or usage.prompt_tokens > expected * _LEAST_SHARE:
        return None
    return (
        f"it counts {usage.prompt_tokens} tokens in a prompt of about {expected}: it seems to cut long prompts; "
        "give the server a larger context (Ollama: num_ctx)"
    )


def _number(fields: object, *names: str) -> int:
    """The first of these fields that holds a number of tokens, else 0."""
    values = (fields.get(name) for name in names) if isinstance(fields, Mapping) else ()
    numbers = (value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    return next((int(value) for value in numbers if 0 < value < math.inf), 0)


def _sum(fields: Mapping[str, Any], *names: str) -> int:
    return sum(_number(fields, name) for name in names)


def _check_arguments(client: openai.AsyncOpenAI, extra: Mapping[str, Any]) -> None:
    """ConfigError for an argument that the client's call does not take."""
    parameters = inspect.signature(client.chat.completions.create).parameters
    for name in extra:
        if name not in parameters:
            raise ConfigError.at(
                f"engine_args.{name}",
                extra[name],
                f"a parameter of OpenAI's chat completions; one of your server's own goes into "
                f"engine_args.extra_body: {{{name}: ...}}",
            )
