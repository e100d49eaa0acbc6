"""Language models of DSPy as backends of ours, and engines of ours under language models of DSPy."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import dspy

from ace.errors import TransientError
from ace.inference import LLMClient
from ace.inference.backend import BackendInfo, EngineMeter
from ace.types import Completion, FinishReason, Message, Request, Sampling, Usage


class LMBackend:
    """A language model of DSPy as a backend. Its answers are not guided; tokens are counted as four bytes each."""

    def __init__(self, lm: Any) -> None:
        self._lm = lm
        self.info = BackendInfo("dspy", str(lm.model), "endpoint", None, False, 0.0)

    async def complete(self, request: Request) -> Completion:
        """TransientError where the language model raises after its own retries."""
        started = time.perf_counter()
        sampling = request.sampling
        lm_request = dspy.lm15.Request(
            model=self.info.model,
            system=next((m.content for m in request.messages if m.role == "system"), None),
            messages=[_LM_MESSAGES[m.role](m.content) for m in request.messages if m.role != "system"],
            config=dspy.lm15.Config(max_tokens=sampling.max_tokens, temperature=sampling.temperature),
        )
        try:
            response = await asyncio.to_thread(self._lm, lm_request)  # not all engines of DSPy have an async side
        except Exception as error:  # whatever its provider raises
            raise TransientError(f"{self.info.model}: {error!r}") from error
        usage = response.usage
        counted = Usage(usage.input_tokens or 0, 0, usage.output_tokens or 0, total_s=time.perf_counter() - started)
        finish: FinishReason = "length" if response.finish_reason == "length" else "stop"
        return Completion(response.text or "", finish, counted, self.info.model)

    def count_tokens(self, text: str) -> int:
        return estimate_tokens(text)

    def meter(self) -> EngineMeter | None:
        return None

    async def close(self) -> None:
        return None


class BackendEngine:
    """An engine of ours under a language model of DSPy: `dspy.LM("ace/main", engine=BackendEngine(client))`.

    `client` is an `ace.LLMClient`, which the caller closes.
    """

    def __init__(self, client: LLMClient) -> None:
        self._client = client

    def complete(self, request: Any) -> Any:
        config = request.config
        limits = {"max_tokens": config.max_tokens, "temperature": config.temperature, "top_p": config.top_p}
        sampling = Sampling(**{name: value for name, value in limits.items() if value is not None})
        system = request.system
        if system is not None and not isinstance(system, str):
            system = "".join(part.text for part in system)
        messages = [Message("system", system)] if system else []
        messages += [
            Message("assistant" if turn.role == "assistant" else "user", turn.text or "") for turn in request.messages
        ]
        (completion,) = self._client.generate([messages], sampling)
        usage = completion.usage
        return dspy.lm15.Response(
            id=None,
            model=completion.model,
            message=dspy.lm15.Message.assistant([dspy.lm15.TextPart(completion.text)]),
            finish_reason="length" if completion.finish_reason == "length" else "stop",
            usage=dspy.lm15.Usage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens),
        )

    def stream(self, request: Any) -> Any:
        return dspy.lm15.response_to_events(self.complete(request))

    def close(self) -> None:
        return None


_LM_MESSAGES = {"user": dspy.lm15.Message.user, "assistant": dspy.lm15.Message.assistant}


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of `text`: one for four bytes."""
    return len(text.encode()) // 4 + 1
