"""A backend whose engine starts with the first request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from ace.config import ModelSettings
from ace.errors import AceError, EngineDeadError
from ace.inference.backend import Backend, BackendInfo, EngineMeter
from ace.inference.model_files.hub import local_folder
from ace.inference.model_files.model_folder import context_limit
from ace.inference.provider_choice import Choice, on_cpu, resolve_auto
from ace.inference.text.chat_encoder import ChatEncoder
from ace.inference.text.token_counter import PlainTokenizer
from ace.inference.wrappers.supervisor import StartEngine
from ace.types import Completion, Request


class LazyBackend:
    """A backend whose engine is started by `start` at the first request; `started` is then called with it.

    Until then `info` is what the settings say, and the model's tokenizer alone is loaded to count tokens.
    """

    def __init__(self, settings: ModelSettings, start: StartEngine, started: Callable[[Backend], None]) -> None:
        provider, reason = resolve_auto() if settings.provider == "auto" else Choice(settings.provider, "asked for")
        self._settings, self._start, self._started = settings, start, started
        self._live: Backend | None = None
        self._starting: asyncio.Task[Backend] | None = None
        self._closed = False
        self._planned = BackendInfo(
            provider=provider,
            model=settings.model,
            device="cpu" if on_cpu() else "gpu",
            max_model_len=_context(settings),
            structured_outputs=provider == "vllm",
            start_s=0.0,
            reason=f"{reason}; not started",
        )

    @property
    def info(self) -> BackendInfo:
        return self._planned if self._live is None else self._live.info

    async def complete(self, request: Request) -> Completion:
        """Answer, after starting the engine if needed. EngineDeadError where it cannot be started."""
        return await (await self._engine()).complete(request)

    def count_tokens(self, text: str) -> int:
        return self._tokenizer.count(text) if self._live is None else self._live.count_tokens(text)

    def meter(self) -> EngineMeter | None:
        """Read the engine's meter; zeros before it is started."""
        return EngineMeter() if self._live is None else self._live.meter()

    async def close(self) -> None:
        """Close the engine. One that is being started is awaited first."""
        self._closed = True
        if self._starting is not None:
            with contextlib.suppress(EngineDeadError):
                await (await self._starting).close()

    async def _engine(self) -> Backend:
        if self._starting is None:
            if self._closed:
                raise EngineDeadError(f"the engine of {self._settings.model} was closed before it was started")
            self._starting = asyncio.create_task(self._start_engine())
        return await asyncio.shield(self._starting)  # a request that is cancelled must not stop it for the others

    async def _start_engine(self) -> Backend:
        try:
            self._live = await asyncio.to_thread(self._start)
        except AceError as error:
            raise EngineDeadError(f"the engine could not be started: {error.message}", hint=error.hint) from error
        self._started(self._live)
        return self._live

    @cached_property
    def _tokenizer(self) -> ChatEncoder:
        """The engine's tokenizer, without the engine."""
        settings = self._settings
        folder = settings.engine_args.get("tokenizer", local_folder(settings))
        file = Path(folder) / "tokenizer.json"
        if file.is_file():
            return ChatEncoder(PlainTokenizer(file))
        tokenizers: Any = import_module("transformers").AutoTokenizer
        return ChatEncoder(tokenizers.from_pretrained(folder, trust_remote_code=settings.trust_remote_code))


def _context(settings: ModelSettings) -> int | None:
    """The context that the engine will have, in tokens; None where the model's files do not say."""
    try:
        return context_limit(local_folder(settings), settings)
    except ImportError:  # the start of the engine reports what is not installed
        return None
