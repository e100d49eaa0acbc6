"""`LLMClient`: direct generation for a script or a notebook."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from ace.config import ModelSettings
from ace.errors import AceError, ConfigError
from ace.inference.backend import Backend, BackendInfo
from ace.inference.factory import create_backend
from ace.types import Completion, Message, Request, Sampling, Usage

T = TypeVar("T")
Conversation = Sequence[Message] | Sequence[Mapping[str, str]]
Prompt = str | Conversation


@dataclass(frozen=True, slots=True)
class ClientStats:
    """Totals of a client's calls; `usage` sums the calls that were answered."""

    calls: int = 0
    errors: int = 0
    retries: int = 0
    usage: Usage = field(default_factory=Usage)


class LLMClient:
    """A model behind any provider, for prompts or whole conversations, one or many at a time.

    `settings` are the other fields of `ace.config.ModelSettings` (max_model_len, dtype, engine_args, base_url, ...). A
    `backend` of your own, such as a `ScriptedBackend` in a test, takes the place of all of them. The engine starts with
    the client. Use it as a context manager, sync or async, or call `close`. The sync calls work inside a running event
    loop too, as in a notebook: they have a loop of their own, on a thread of their own.
    """

    def __init__(
        self, provider: str = "auto", model: str = "micro-target", *, backend: Backend | None = None, **settings: Any
    ) -> None:
        self._backend = backend or _start_backend(provider, model, settings)
        self._stats = ClientStats()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def info(self) -> BackendInfo:
        """Provider and model, and why they were chosen."""
        return self._backend.info

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling: Sampling | None = None,
        *,
        schema: Mapping[str, Any] | None = None,
    ) -> list[Completion]:
        """Answer all prompts at once, in order. A string is one user message; a conversation is a list of messages.

        Raises the first error of `ace.errors` that a call ends with.
        """
        return self._run(self.agenerate(prompts, sampling, schema=schema))

    async def agenerate(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling: Sampling | None = None,
        *,
        schema: Mapping[str, Any] | None = None,
    ) -> list[Completion]:
        """`generate` for async code."""
        requests = [Request(messages, sampling or Sampling(), schema) for messages in _conversations(prompts)]
        return list(await asyncio.gather(*(self._complete(request) for request in requests)))

    def stats(self) -> ClientStats:
        """Calls, errors, retries and usage so far."""
        return self._stats

    def close(self) -> None:
        """Free the engine. Closing twice does nothing."""
        self._run(self._backend.close())
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    async def aclose(self) -> None:
        """`close` for async code."""
        await self._backend.close()

    async def _complete(self, request: Request) -> Completion:
        try:
            completion = await self._backend.complete(request)
        except AceError:
            self._count(errors=1)
            raise
        self._count(retries=completion.attempts - 1, usage=completion.usage)
        return completion

    def _count(self, *, errors: int = 0, retries: int = 0, usage: Usage | None = None) -> None:
        with self._lock:
            totals = self._stats
            total = totals.usage + usage if usage else totals.usage
            self._stats = ClientStats(totals.calls + 1, totals.errors + errors, totals.retries + retries, total)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=_run_loop, args=(self._loop,), name="ace-client", daemon=True).start()
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:  # Ctrl-C: the calls under way are given up
            future.cancel()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _conversations(prompts: Prompt | Sequence[Prompt]) -> list[tuple[Message, ...]]:
    """One conversation each. A list whose items are messages is itself one."""
    if isinstance(prompts, str):
        return [(Message("user", prompts),)]
    if prompts and all(isinstance(item, (Message, Mapping)) for item in prompts):
        return [tuple(_message(item) for item in prompts)]
    return [
        (Message("user", item),) if isinstance(item, str) else tuple(_message(turn) for turn in item)  # type: ignore[union-attr]
        for item in prompts
    ]


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, and leave nothing of it."""
    with contextlib.closing(loop):
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())


def _message(turn: Any) -> Message:
    if isinstance(turn, Message):
        return turn
    try:
        return Message(turn["role"], turn["content"])
    except (KeyError, TypeError):
        raise ConfigError.at("message", turn, "a Message, or a mapping with role and content") from None


def _start_backend(provider: str, model: str, settings: Mapping[str, Any]) -> Backend:
    try:
        checked = ModelSettings.model_validate({"provider": provider, "model": model, **settings})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError.at(
            ".".join(map(str, first["loc"])),
            first.get("input"),
            f"{first['msg']}; fields: {', '.join(ModelSettings.model_fields)}",
        ) from None
    return create_backend(checked)
