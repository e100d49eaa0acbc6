"""The process of a replica with a script in the engine's place: it starts in half a second.

It says the question and its own process, after a millisecond for each token it may answer with. The model's name says
what happens at the start: "missing" is not there, "wrong" has a setting that is refused, "stuck" never comes up.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from functools import partial

from ace.config import ModelSettings
from ace.errors import ConfigError, ModelNotFoundError
from ace.inference import Backend, ScriptedBackend
from ace.inference.serving.replicas import ReplicatedBackend, start_replicas
from ace.inference.serving.replicas.child_program import main
from ace.inference.wrappers.supervisor import SupervisedBackend
from ace.types import Completion, Request

PROGRAM = "scripted_child"


class SlowBackend(ScriptedBackend):
    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(request.sampling.max_tokens / 1000)
        return await super().complete(request)


def load(settings: ModelSettings, provider: str, reason: str, *, share: float) -> Backend:
    if settings.model == "missing":
        raise ModelNotFoundError("missing: no such folder", model=settings.model)
    if settings.model == "wrong":
        raise ConfigError.at("engine_args.blok_size", 32, "block_size")
    if settings.model == "stuck":
        time.sleep(600)
    return SlowBackend(lambda request: f"{request.messages[-1].content} {os.getpid()}")


def scripted_settings(model: str = "a model", **more: object) -> ModelSettings:
    return ModelSettings.model_validate(
        {"provider": "vllm", "model": model, "max_model_len": 512, "replicas": 2, "warm": False, **more}
    )


def start_scripted(model: str = "a model") -> ReplicatedBackend:
    """Two replicas. The import path of the processes must have this module."""
    supervised = partial(SupervisedBackend, max_restarts=4, hang_s=60, backoff_s=0.001)
    return start_replicas(scripted_settings(model), "vllm", "asked for", supervised=supervised, program=PROGRAM)


def start_scripted_and_wait() -> int:
    """What a process does whose replicas are to end with it."""
    start_scripted()
    print("up", flush=True)
    time.sleep(600)
    return 0


if __name__ == "__main__":
    main(int(sys.argv[1]), load)
