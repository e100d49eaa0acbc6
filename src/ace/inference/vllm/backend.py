"""The `Backend` over an in-process vLLM engine."""

from __future__ import annotations

import asyncio
import gc
import time
from itertools import count
from pathlib import Path
from typing import Any

from ace.config import ModelSettings
from ace.errors import (
    AceError,
    EngineDeadError,
    ModelNotFoundError,
    PromptTooLongError,
    ProviderMissingError,
    ProviderStartError,
)
from ace.inference.auto import has_gpu
from ace.inference.backend import BackendInfo
from ace.inference.chat import ChatEncoder
from ace.inference.models import model_path
from ace.inference.vllm.arguments import engine_arguments
from ace.inference.vllm.environment import prepare
from ace.inference.vllm.stepper import EngineHandle, stepper
from ace.types import Completion, FinishReason, Request, Usage

_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


def create(settings: ModelSettings, reason: str) -> VllmBackend:
    """Start an engine. Blocks until it is up. Raises ProviderMissingError, ModelNotFoundError, ProviderStartError."""
    started = time.perf_counter()
    model = model_path(settings.model)
    gpu = has_gpu()
    prepare(gpu=gpu, local=Path(model).is_dir())
    handle, facts = stepper().submit(lambda: _start(settings, model, gpu)).result()
    info = BackendInfo(
        provider="vllm",
        model=settings.model,
        device=facts["device"],
        max_model_len=facts["max_model_len"],
        structured_outputs=True,
        start_s=time.perf_counter() - started,
        reason=reason,
    )
    return VllmBackend(handle, facts["tokenizer"], info)


class VllmBackend:
    """Continuous batching: every call that arrives joins the engine's running batch at its next step."""

    def __init__(self, handle: EngineHandle, tokenizer: Any, info: BackendInfo) -> None:
        self.info = info
        self._handle = handle
        self._chat = ChatEncoder(tokenizer)
        self._keys = count()
        self._closed = False

    async def complete(self, request: Request) -> Completion:
        """Raises PromptTooLongError and RequestRejectedError before the engine sees the request; EngineDeadError."""
        if self._closed:
            raise EngineDeadError("the vLLM engine is closed")
        started = time.perf_counter()
        ids = self._chat.encode(request.messages)
        limit = self.info.max_model_len or len(ids) + request.sampling.max_tokens
        if len(ids) >= limit:
            raise PromptTooLongError(
                f"the prompt has {len(ids)} tokens, and the model's context holds {limit} with the answer",
                hint="raise max_model_len if the model allows it, or lower playbook.token_budget",
                prompt_tokens=len(ids),
                max_model_len=limit,
            )
        params = _sampling(request, limit - len(ids))
        output = await self._engine_answer({"prompt_token_ids": ids}, params)
        answer = output.outputs[0]
        return Completion(
            text=answer.text,
            finish_reason=_FINISH.get(answer.finish_reason, "error"),
            usage=_usage(output, time.perf_counter() - started),
            model=self.info.model,
        )

    def count_tokens(self, text: str) -> int:
        return self._chat.count(text)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.wrap_future(stepper().submit(lambda: _stop(self._handle)))

    async def _engine_answer(self, prompt: dict[str, Any], params: Any) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        key = str(next(self._keys))
        stepper().submit(lambda: self._handle.add(key, prompt, params, (loop, future)))
        try:
            return await future
        except asyncio.CancelledError:
            stepper().submit(lambda: self._handle.abort(key))
            raise


def _start(settings: ModelSettings, model: str, gpu: bool) -> tuple[EngineHandle, dict[str, Any]]:
    """Build the engine; on the stepper's thread."""
    try:
        from vllm import EngineArgs, LLMEngine
        from vllm.platforms import current_platform
    except ImportError as error:
        command = f"pip install 'ace-vllm[{'vllm' if gpu else 'cpu'}]'"
        raise ProviderMissingError(
            f"provider 'vllm' cannot be imported: {error}",
            hint=command,
            provider="vllm",
            package="vllm",
            command=command,
        ) from error
    arguments = engine_arguments(settings, model, gpu=gpu)
    try:
        engine = LLMEngine.from_engine_args(EngineArgs(**arguments))
    except AceError:
        raise
    except Exception as error:  # noqa: BLE001 - vLLM starts in many ways and fails in more
        raise _start_error(settings.model, error) from error
    handle = EngineHandle(engine)
    stepper().handles.append(handle)
    facts = {
        "device": current_platform.device_type,
        "max_model_len": engine.model_config.max_model_len,
        "tokenizer": engine.get_tokenizer(),
    }
    return handle, facts


def _start_error(model: str, error: Exception) -> ProviderStartError:
    text = " ".join(str(error).split())
    missing = (
        "not a valid model identifier",
        "couldn't connect",
        "offline mode",
        "Repository Not Found",
        "does not appear",
    )
    if isinstance(error, FileNotFoundError) or any(sign.casefold() in text.casefold() for sign in missing):
        return ModelNotFoundError(
            f"no model '{model}': it is no folder here, and no hub gave it: {text[:300]}", model=model
        )
    return ProviderStartError(f"vLLM could not start '{model}': {type(error).__name__}: {text[:600]}", model=model)


def _stop(handle: EngineHandle) -> None:
    """Shut the engine down; on the stepper's thread."""
    stepper().handles.remove(handle)
    handle.dead = handle.dead or "closed"
    handle.engine.engine_core.shutdown()
    handle.engine = None
    gc.collect()


def _sampling(request: Request, room: int) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    sampling = request.sampling
    return SamplingParams(
        max_tokens=min(sampling.max_tokens, room),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed if sampling.temperature > 0 else None,
        stop=list(sampling.stop) or None,
        structured_outputs=StructuredOutputsParams(json=dict(request.schema)) if request.schema is not None else None,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _usage(output: Any, total_s: float) -> Usage:
    stats = output.metrics
    return Usage(
        prompt_tokens=len(output.prompt_token_ids),
        cached_tokens=output.num_cached_tokens or 0,
        completion_tokens=len(output.outputs[0].token_ids),
        queue_s=stats.scheduled_ts - stats.queued_ts if stats else None,
        ttft_s=stats.first_token_latency if stats else None,
        total_s=total_s,
    )
