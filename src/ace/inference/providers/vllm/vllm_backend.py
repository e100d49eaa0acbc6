"""`VllmBackend`: requests of any asyncio loop, answered by an engine in this process."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from importlib.util import find_spec
from typing import Any, TypeVar

from ace.config import ModelSettings
from ace.errors import EngineDeadError, PromptTooLongError, RequestRejectedError
from ace.inference.backend import BackendInfo, EngineMeter
from ace.inference.model_files.lora_adapter import Adapter
from ace.inference.providers.vllm.engine_args import warn_of_remote_code
from ace.inference.providers.vllm.engine_startup import Started, start_engine
from ace.inference.providers.vllm.engine_thread import SteppingThread
from ace.inference.providers.vllm.hosted_engine import Finished, HostedEngine, PendingRequest, ResponseHandle
from ace.inference.providers.vllm.speculation import drafted
from ace.inference.providers.vllm.vllm_errors import missing, rejected
from ace.inference.text.chat_encoder import ChatEncoder
from ace.inference.wrappers.lora_backend import LoraRequest
from ace.types import Completion, FinishReason, Request, Usage

T = TypeVar("T")

_REASONS: dict[str | None, FinishReason] = {"stop": "stop", "length": "length", "repetition": "stop"}


def create(
    settings: ModelSettings, reason: str = "asked for", *, share: float = 1.0, adapters: Sequence[Adapter] = ()
) -> VllmBackend:
    """Start an engine for `settings` and wait until it is up. `share` is its part of the device's memory.

    Raises ProviderMissingError without vllm, ModelNotFoundError, ConfigError for an unknown engine argument, and
    ProviderStartError with the engine's words for everything else.
    """
    if find_spec("vllm") is None:
        raise missing()
    warn_of_remote_code(settings)
    return VllmBackend(settings, reason, share=share, adapters=adapters)


class VllmBackend:
    """A vLLM engine on the process's stepping thread; requests that arrive at any time join the running batch.

    An `LoraRequest` is answered with its adapter, which must be one of `adapters`.
    """

    def __init__(
        self,
        settings: ModelSettings,
        reason: str = "asked for",
        *,
        share: float = 1.0,
        adapters: Sequence[Adapter] = (),
    ) -> None:
        began = time.perf_counter()
        self._thread = SteppingThread.lease()
        try:
            started, self._hosted = self._thread.wait_for(
                self._thread.call(lambda: self._bring_up(settings, share, adapters))
            )
        except BaseException:  # Ctrl-C too: the thread ends with its last engine
            self._thread.release()
            raise
        self._chat = ChatEncoder(started.tokenizer)
        self._adapters = started.adapters
        self._drafts = started.drafts
        self._numbers = itertools.count()
        self._closed = False
        self.info = BackendInfo(
            provider="vllm",
            model=settings.model,
            device=started.device,
            max_model_len=started.max_model_len,
            structured_outputs=True,
            start_s=time.perf_counter() - began,
            memory_bytes=started.memory_bytes,
            reason="; ".join(filter(None, (reason, started.remark, self._chat.remark))),
        )
        self.version = started.version

    async def complete(self, request: Request) -> Completion:
        """Answer one request. Cancelling it takes it out of the engine.

        Raises PromptTooLongError, RequestRejectedError, and EngineDeadError once the engine has failed or is closed.
        The answer is cut short where the context ends, with finish reason "length".
        """
        from ace.inference.providers.vllm.sampling_params import sampling_params  # imports vllm

        began = time.perf_counter()
        if self._closed:
            raise EngineDeadError(f"the vLLM engine of {self.info.model} was closed", model=self.info.model)
        token_ids = self._chat.encode(request.messages)
        room = self._room(token_ids)
        try:
            params = sampling_params(request, room, bounded=not self._drafts)
        except Exception as error:
            raise rejected(error) from error
        loop = asyncio.get_running_loop()
        response = ResponseHandle(loop, loop.create_future())
        request_id = f"ace-{next(self._numbers)}"
        pending = PendingRequest(request_id, token_ids, params, response, self._adapter(request))
        self._thread.post(lambda: self._hosted.add(pending))
        try:
            finished = await response.future
        except asyncio.CancelledError:
            self._thread.post(lambda: self._hosted.abort(request_id))
            raise
        return self._completion(finished, began)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` as data, by the model's own tokenizer."""
        return self._chat.count(text)

    def meter(self) -> EngineMeter:
        """Steps of the engine, and their seconds."""
        return self._hosted.meter

    def run_on_engine(self, work: Callable[[Any], T]) -> Future[T]:
        """Call `work` with vLLM's own engine on the thread that steps it, between two steps: to inspect or break it."""
        return self._thread.call(lambda: work(self._hosted.engine))

    async def close(self) -> None:
        """Shut the engine down and free its memory. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await asyncio.wrap_future(self._thread.call(lambda: self._thread.drop(self._hosted)))
        finally:
            self._thread.release()

    def _bring_up(
        self, settings: ModelSettings, share: float, adapters: Sequence[Adapter]
    ) -> tuple[Started, HostedEngine]:
        """Start an engine and step it from now on. On the stepping thread."""
        started = start_engine(settings, share, adapters)
        hosted = HostedEngine(started.engine, settings.model, mixing=started.device != "cpu")
        self._thread.adopt(hosted)
        return started, hosted

    def _adapter(self, request: Request) -> Any:
        """VLLM's name for the request's adapter, None where it has none."""
        if not isinstance(request, LoraRequest):
            return None
        if request.adapter not in self._adapters:
            raise RequestRejectedError(f"the engine of {self.info.model} has no adapter '{request.adapter}'")
        return self._adapters[request.adapter]

    def _room(self, token_ids: list[int]) -> int:
        """Tokens that the context has left for the answer."""
        limit = self.info.max_model_len
        assert limit is not None
        if not token_ids:
            raise RequestRejectedError("the prompt is empty")
        if len(token_ids) >= limit:
            raise PromptTooLongError(
                f"the prompt has {len(token_ids)} tokens, and {self.info.model} takes {limit} with its answer",
                hint="raise max_model_len, or lower playbook.token_budget",
                prompt_tokens=len(token_ids),
                max_model_len=limit,
            )
        return limit - len(token_ids)

    def _completion(self, finished: Finished, began: float) -> Completion:
        output = finished.output
        answer = output.outputs[0]
        if answer.finish_reason not in _REASONS:
            raise RequestRejectedError(
                f"vLLM gave the request up (finish reason {answer.finish_reason!r})",
                hint="a schema that llguidance cannot compile ends like this",
            )
        stats = output.metrics
        drafted_tokens, accepted_tokens, draft_steps = drafted(answer)
        usage = Usage(
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens or 0,
            completion_tokens=len(answer.token_ids),
            queue_s=max(0.0, stats.scheduled_ts - stats.queued_ts) if stats else None,
            ttft_s=stats.first_token_latency if stats else None,
            total_s=finished.at - began,
            drafted_tokens=drafted_tokens,
            accepted_tokens=accepted_tokens,
            draft_steps=draft_steps,
        )
        return Completion(answer.text, _REASONS[answer.finish_reason], usage, self.info.model)
