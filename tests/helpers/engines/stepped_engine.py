"""An engine whose steps have a known price."""

from __future__ import annotations

import asyncio

from ace.inference import BackendInfo, EngineMeter
from ace.types import Completion, Request, Usage

STEP_S, SEQUENCE_S, CONTEXT_S, PROMPT_S, REQUEST_S = 1.0, 0.1, 0.0001, 0.01, 0.5


class SteppedEngine:
    """Answers whoever asks in the same turn of the loop in common steps, with a clock of its own. A word is a token."""

    def __init__(self, *, counted: bool = True) -> None:
        self.info = BackendInfo("scripted", "steps", "cpu", 4096, structured_outputs=True, start_s=0.0)
        self._counted = counted
        self._meter = EngineMeter()
        self._cached: set[str] = set()
        self._asked: list[tuple[Request, asyncio.Future[Completion]]] = []

    async def complete(self, request: Request) -> Completion:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Completion] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._step)
        self._asked.append((request, answer))
        return await answer

    def _step(self) -> None:
        asked, self._asked = self._asked, []
        steps = asked[0][0].sampling.max_tokens
        computed = context = 0
        for request, answer in asked:
            prefix, own = (len(message.content.split()) for message in request.messages)
            cached = prefix if request.messages[0].content in self._cached else 0
            self._cached.add(request.messages[0].content)
            computed += prefix + own - cached
            context += prefix + own
            usage = Usage(prefix + own, cached, steps)
            answer.set_result(Completion("", "length", usage, "steps"))
        step_s = STEP_S + SEQUENCE_S * len(asked) + CONTEXT_S * context
        seconds = steps * step_s + PROMPT_S * computed + REQUEST_S * len(asked)
        self._meter += EngineMeter(steps, seconds)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def meter(self) -> EngineMeter | None:
        return self._meter if self._counted else None

    async def close(self) -> None:
        return None
