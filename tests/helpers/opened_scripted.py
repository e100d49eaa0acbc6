"""Backends that an actor of a Ray cluster can open: the scripted model of the micro world's tests, or a slow one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ace.config import RunSettings
from ace.inference import Backends, ScriptedBackend
from ace.types import Completion, Request


class CountingBackend(ScriptedBackend):
    """Answers with the last word of the question, and notes each question in a file of its own in `ACE_ASKED`.

    The first one that is asked for the word "fatal" kills its process.
    """

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0.01)
        folder = Path(os.environ["ACE_ASKED"])
        word = request.messages[-1].content.split("say ")[1].split()[0].strip("\"'.,<>")
        if word == "fatal" and not (folder / "died").exists():
            (folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with (folder / word).open("a", encoding="utf-8") as asked:
            asked.write("x")
        return await super().complete(request)


def answer(request: Request) -> str:
    word = request.messages[-1].content.split("say ")[1].split()[0].strip("\"'.,<>")
    return json.dumps({"reasoning": "it says so", "bullet_ids": [], "final_answer": word})


@asynccontextmanager
async def open_counting(settings: RunSettings) -> AsyncIterator[Backends]:
    backend = CountingBackend(answer)
    yield dict.fromkeys(settings.models_used, backend)
