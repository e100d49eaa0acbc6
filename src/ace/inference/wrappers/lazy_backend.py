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
from ace.inference.provider_choice import Choice, on_cpu, resolve_auto
from ace.inference.text.chat_encoder import ChatEncoder
from ace.inference.text.token_counter import PlainTokenizer
from ace.inference.wrappers.supervisor import Starting
from ace.types import Completion, Request


class LazyBackend:
    """Stands for the engine that `start` brings up, and tells `started` of it then.

    Until then `info` is what the settings say, and tokens are counted by the model's tokenizer alone.
    """

    def __init__(self, settings: ModelSettings, start: Starting, started: Callable[[Backend], None]) -> None:
        provider, reason = resolve_auto() if settings.provider == "auto" else Choice(settings.provider, "asked for")
        self._settings, self._start, self._started = settings, start, started
        self._live: Backend | None = None
        self._starting: asyncio.Task[Backend] | None = None
        self._closed = False
        self._planned = BackendInfo(
            provider=provider,
            model=settings.model,
            device="cpu" if on_cpu() else "gpu",
            max_model_len=settings.max_model_len,
            structured_outputs=provider == "vllm",
            start_s=0.0,
            reason=f"{reason}; not started",
        )

    @property
    def info(self) -> BackendInfo:
        return self._planned if self._live is None else self._live.info

    async def complete(self, request: Request) -> Completion:
        """Start the engine if it is not up, and answer. EngineDeadError where it cannot be started any more."""
        return await (await self._up()).complete(request)

    def count_tokens(self, text: str) -> int:
        return self._tokenizer.count(text) if self._live is None else self._live.count_tokens(text)

    def meter(self) -> EngineMeter | None:
        """Read the engine's meter; zeros before it is up."""
        return EngineMeter() if self._live is None else self._live.meter()

    async def close(self) -> None:
        """An engine that is being started is waited for, and closed."""
        self._closed = True
        if self._starting is not None:
            with contextlib.suppress(EngineDeadError):
                await (await self._starting).close()

    async def _up(self) -> Backend:
        if self._starting is None:
            if self._closed:
                raise EngineDeadError(f"the engine of {self._settings.model} was closed before it was started")
            self._starting = asyncio.create_task(self._bring_up())
        return await asyncio.shield(self._starting)  # whoever gives its request up, others wait for the engine

    async def _bring_up(self) -> Backend:
        try:
            self._live = await asyncio.to_thread(self._start)
        except AceError as error:
            raise EngineDeadError(f"the engine could not be started: {error.message}", hint=error.hint) from error
        self._started(self._live)
        return self._live

    @cached_property
    def _tokenizer(self) -> ChatEncoder:
        """One that counts like the engine's."""
        settings = self._settings
        folder = settings.engine_args.get("tokenizer", local_folder(settings))
        file = Path(folder) / "tokenizer.json"
        if file.is_file():
            return ChatEncoder(PlainTokenizer(file))
        tokenizers: Any = import_module("transformers").AutoTokenizer
        return ChatEncoder(tokenizers.from_pretrained(folder, trust_remote_code=settings.trust_remote_code))
