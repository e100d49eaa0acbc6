"""An OpenAI-compatible server in a process of its own that plays all roles, and fails as it is told.

A share of its answers fails, drawn anew for each request: HTTP 429, 500 or 502, a stream that breaks off, and one that
comes in slow bytes but comes.
"""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any

from endpoint import Handler, serving
from micro_runs import micro_model

from ace.types import Message, Request


class Faulty:
    """Answers, or fails for a seeded share of the requests."""

    def __init__(self, share: float, seed: int) -> None:
        self._share, self._draw, self._lock = share, random.Random(seed), threading.Lock()

    def __call__(self, handler: Handler, body: dict[str, Any]) -> None:
        with self._lock:
            fails = self._draw.random() < self._share
            how = self._draw.choice(["429", "500", "502", "cut", "slow"])
        text = micro_model(Request(tuple(Message(turn["role"], turn["content"]) for turn in body["messages"])))
        words = len(json.dumps(body["messages"]).split())
        usage = {"prompt_tokens": words, "completion_tokens": len(text.split()), "total_tokens": words}
        if not fails:
            handler.stream(text, usage=usage)
        elif how == "cut":
            handler.stream(text[: len(text) // 2], finish=None)
        elif how == "slow":
            self._slowly(handler, text, usage)
        else:
            handler.fail(int(how), headers={"retry-after": "0.01"})

    def _slowly(self, handler: Handler, text: str, usage: dict[str, Any]) -> None:
        pieces = [text[i : i + 8] for i in range(0, len(text), 8)]
        handler.stream(*pieces, usage=usage, pause=lambda: time.sleep(0.005))


def run_endpoint(port: int, share: float, seed: int) -> int:
    """Print the port (of `port`, 0: any), then answer until the process is killed."""
    with serving(Faulty(share, seed), port) as server:
        print(server.server_address[1], flush=True)
        threading.Event().wait()
    return 0
