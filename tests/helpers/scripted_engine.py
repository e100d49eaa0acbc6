"""A script in the place of a replica's engine.

It says the question and its own process, after a millisecond for each token it may answer with. The model's name says
what happens at the start: "missing" is not there, "wrong" has a setting that is refused. A question "die" ends the
process, and "fail" is what the engine dies of.
"""

from __future__ import annotations

import asyncio
import os
import signal

from micro_runs import micro_model

from ace.config import ModelSettings
from ace.errors import ConfigError, EngineDeadError, ModelNotFoundError
from ace.inference import Backend, ScriptedBackend
from ace.inference.backend import EngineMeter
from ace.types import Completion, Message, Request, Sampling


class SlowBackend(ScriptedBackend):
    calls = 0

    async def complete(self, request: Request) -> Completion:
        question = request.messages[-1].content
        if question == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if question == "fail":
            raise EngineDeadError("the engine failed")
        await asyncio.sleep(request.sampling.max_tokens / 1000)
        self.calls += 1
        return await super().complete(request)

    def meter(self) -> EngineMeter:
        return EngineMeter(self.calls, self.calls / 1000, 1)


def load(settings: ModelSettings, share: float, reason: str) -> Backend:
    if settings.model == "missing":
        raise ModelNotFoundError("missing: no such folder", model=settings.model)
    if settings.model == "wrong":
        raise ConfigError.at("engine_args.blok_size", 32, "block_size")
    return SlowBackend(lambda request: f"{request.messages[-1].content} {os.getpid()}")


class MicroBackend(ScriptedBackend):
    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0.3)
        return await super().complete(request)


def load_micro(settings: ModelSettings, share: float, reason: str) -> Backend:
    """An engine that plays all roles on the micro world, in 0.3 s a call."""
    return MicroBackend(micro_model)


def questions(number: int, tokens: int = 24, prefix: str = "") -> list[Request]:
    """So many requests behind one system message, if any, each of so many tokens."""
    sampling = Sampling(max_tokens=tokens, temperature=0.0, top_p=1.0)
    system = (Message("system", prefix),) if prefix else ()
    return [Request((*system, Message("user", f"word {n}")), sampling) for n in range(number)]
