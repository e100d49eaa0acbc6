"""A run to be killed: the micro world with a scripted model (or an endpoint), in a process of its own.

It is told `folder`, `resume` (bool), `kill` (see `_arm`), `endpoint` (a URL or None), `settings` (dotted keys with
`__`), `log` (a folder, `folder` if left out). Every answered call's digest is appended to the log's `calls.log` before
the run gets the answer. It ends with 0 when the run is done, else with the error's exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from micro_runs import all_roles, micro_model, role_of, settings
from sqlalchemy import event
from sqlalchemy.engine import Engine

from ace.engine import run
from ace.errors import AceError
from ace.inference import ScriptedBackend
from ace.types import Completion, Request

WORLD: dict[str, Any] = {
    "task": {
        "name": "micro",
        "micro": {"seed": 5, "terms": 8, "modifiers": 6, "train": 24, "validation": 6, "test": 10},
    },
    "adaptation__batch_size": 6,
    "adaptation__epochs": 2,
}
HELD_S = 0.5
"""How long a commit is held back at most: after the last batch of an epoch nothing comes."""
_NEXT = threading.Event()
"""The last answer was not a curator's, with which a batch that learns ends: the next one has an answer."""


class Victim(ScriptedBackend):
    """Plays without a mistake and takes a few milliseconds for it, so that calls are under way together."""

    def __init__(self, log: Path, kill: dict[str, Any]) -> None:
        super().__init__(micro_model)
        self._log = os.open(log / "calls.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._at = kill["at"] if kill.get("kind") == "call" else None
        self._signal = kill.get("signal", signal.SIGKILL)

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(int(request.digest[-2:], 16) / 50_000)
        completion = await super().complete(request)
        if len(self.requests) == self._at:
            os.kill(os.getpid(), self._signal)
        os.write(self._log, request.digest.encode() + b"\n")
        if role_of(request) == "curator":
            _NEXT.clear()
        else:
            _NEXT.set()
        return completion


def _arm(kill: dict[str, Any]) -> None:
    """What is to happen, by `kind`.

    "call": a signal at that answer; "commit": SIGKILL before that commit; "overlap": a signal before that batch's
    commit, when the next batch has an answer; "file_size": a disk that is full.
    """
    commits = 0

    def count(connection: object) -> None:
        nonlocal commits
        commits += 1
        if commits == kill["at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def overlap(connection: object) -> None:
        nonlocal commits
        if threading.current_thread().name.startswith("ace-commit"):
            commits += 1
            if commits == kill["at"] and _NEXT.wait(HELD_S):
                os.kill(os.getpid(), kill["signal"])
                time.sleep(0.05)  # a signal that does not kill comes while the commit is under way

    if kill.get("kind") == "commit":
        event.listen(Engine, "commit", count)
    if kill.get("kind") == "overlap":
        event.listen(Engine, "commit", overlap)
    if kill.get("kind") == "file_size":
        resource.setrlimit(resource.RLIMIT_FSIZE, (kill["at"], resource.RLIM_INFINITY))


def run_victim(told: Mapping[str, Any]) -> int:
    """Print "ready", then run. The exit code."""
    folder, kill = Path(told["folder"]), told.get("kill") or {}
    changes = {**WORLD, **told.get("settings", {})}
    if endpoint := told.get("endpoint"):
        changes["models"] = {"main": {"provider": "openai", "model": "m", "base_url": endpoint, **told["model"]}}
    backends = None if endpoint else all_roles(Victim(Path(told.get("log", folder)), kill))
    print("ready", flush=True)
    _arm(kill)
    try:
        asyncio.run(
            run(settings(folder, **changes), backends=backends, resume="latest" if told.get("resume") else None)
        )
    except AceError as error:
        with contextlib.suppress(OSError):
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    return 0
