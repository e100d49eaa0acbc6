"""Deterministic answers from a function or a list: what unit tests use, and dry runs of a task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from ace.errors import RequestRejectedError
from ace.inference.backend import BackendInfo, EngineMeter
from ace.types import Completion, Request, Usage

Answers = Callable[[Request], str] | Sequence[str]


class ScriptedBackend:
    """Answers with `answers(request)`, or with the items of a list in turn. Tokens are counted as words.

    `requests` holds what was asked, unless `record` is off: a long run's would fill the memory.
    """

    def __init__(
        self, answers: Answers, *, model: str = "scripted", max_model_len: int | None = None, record: bool = True
    ) -> None:
        self._answers = answers
        self._rest: Iterator[str] = iter(()) if callable(answers) else iter(answers)
        self.requests: list[Request] = []
        self._record = record
        self.closed = False
        self.info = BackendInfo(
            provider="scripted",
            model=model,
            device="none",
            max_model_len=max_model_len,
            structured_outputs=True,
            start_s=0.0,
            reason="asked for",
        )

    async def complete(self, request: Request) -> Completion:
        """RequestRejectedError where the list has run out; whatever the function raises goes through."""
        started = time.perf_counter()
        if self._record:
            self.requests.append(request)
        text = self._answer(request)
        usage = Usage(
            prompt_tokens=sum(self.count_tokens(message.content) for message in request.messages),
            completion_tokens=self.count_tokens(text),
            total_s=time.perf_counter() - started,
        )
        return Completion(text, "stop", usage, self.info.model)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def meter(self) -> EngineMeter | None:
        return None

    async def close(self) -> None:
        self.closed = True

    def _answer(self, request: Request) -> str:
        if callable(self._answers):
            return self._answers(request)
        try:
            return next(self._rest)
        except StopIteration:
            raise RequestRejectedError(f"the script has only {len(self._answers)} answers") from None
