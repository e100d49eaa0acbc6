"""A vLLM engine on the stepping thread, with its pending requests."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ace._util.futures import settle_from_thread
from ace.errors import AceError, EngineDeadError
from ace.inference.backend import EngineMeter
from ace.inference.providers.vllm.engine_environment import quiet
from ace.inference.providers.vllm.engine_startup import shut_down
from ace.inference.providers.vllm.vllm_errors import dead, rejected
from ace.inference.wrappers.exclusive_groups import ExclusiveGroups

MOST_JOINING = 64
"""Requests of one adapter that may still join the running ones while those of another wait."""


@dataclass(frozen=True, slots=True)
class Finished:
    """vLLM's last output of a request and when it came, by `time.perf_counter`."""

    output: Any
    at: float


@dataclass(frozen=True, slots=True)
class ResponseHandle:
    """The future of a response and the event loop that it belongs to."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Finished]

    def settle(self, result: Finished | AceError) -> None:
        """Settle the future on its own loop, from any thread."""
        settle_from_thread(self.loop, self.future, result)


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A tokenized request and the handle of its response. `lora` is vLLM's `LoRARequest`, None without an adapter."""

    id: str
    token_ids: list[int]
    params: Any
    response: ResponseHandle
    lora: Any = None


class HostedEngine:
    """A vLLM engine and its pending requests. Every method runs on the stepping thread.

    Without `mixing` only requests of one adapter run at a time: on a CPU vLLM answers requests without an adapter with
    the adapter of another request of their batch (0.32). `meter` is replaced with every step, so that any thread may
    read it.
    """

    def __init__(self, engine: Any, model: str, *, mixing: bool = True) -> None:
        self.engine = engine
        self._model = model
        self._mixing = mixing
        self._groups: ExclusiveGroups[str | None, str] = ExclusiveGroups(MOST_JOINING)
        self._pending: dict[str, PendingRequest] = {}
        self._running: set[str] = set()
        self._death: EngineDeadError | None = None
        self.meter = EngineMeter()
        self._pool, self._block_bytes = _block_pool(engine)

    @property
    def busy(self) -> bool:
        """True while requests run."""
        return bool(self._running)

    def add(self, request: PendingRequest) -> None:
        """Hand a request to the engine as soon as it may run beside the requests that run."""
        if self._death is not None:
            request.response.settle(self._death)
        elif not request.response.future.cancelled():
            self._pending[request.id] = request
            adapter = request.lora.lora_name if request.lora is not None and not self._mixing else None
            self._start(self._groups.add(adapter, request.id))

    def abort(self, request_id: str) -> None:
        """Abort a request. Its KV cache is free with the next step."""
        if self._pending.pop(request_id, None) is None:
            return
        if request_id in self._running:
            try:
                self.engine.abort_request([request_id])
            except Exception as error:
                self._die(error)
        self._release(request_id)

    def step(self) -> None:
        """Step all running requests. A step that fails ends the engine and every request."""
        began = time.perf_counter()
        try:
            outputs = self.engine.step()
        except Exception as error:
            self._die(error)
            return
        self.meter += EngineMeter(1, time.perf_counter() - began, self._kv_bytes())
        finished = [output for output in outputs if output.finished]
        for output in finished:
            if request := self._pending.pop(output.request_id, None):
                request.response.settle(Finished(output, time.perf_counter()))
        if finished:
            self._release(*(output.request_id for output in finished))

    def _kv_bytes(self) -> int:
        """KV cache of the running requests, shared blocks once, without those that ended with this step."""
        if self._pool is None:
            return 0
        return int(self._pool.num_gpu_blocks - 1 - self._pool.get_num_free_blocks()) * self._block_bytes

    def shut_down(self, *, last: bool) -> None:
        """Free the engine's memory and workers; pending requests end with EngineDeadError."""
        self._fail(EngineDeadError(f"the vLLM engine of {self._model} was closed", model=self._model))
        engine, self.engine = self.engine, None
        with quiet(), contextlib.suppress(Exception):
            shut_down(engine, last=last)
        del engine
        gc.unfreeze()  # vLLM froze its start-up heap, which would keep the weights for ever
        gc.collect()

    def _start(self, request_ids: Iterable[str]) -> None:
        """Submit requests to the engine. A request that it refuses leaves at once."""
        for request_id in request_ids:
            request = self._pending[request_id]
            prompt = {"prompt_token_ids": request.token_ids}
            began = time.perf_counter()
            try:
                self.engine.add_request(
                    request_id, prompt, request.params, arrival_time=time.time(), lora_request=request.lora
                )
            except Exception as error:
                del self._pending[request_id]
                request.response.settle(rejected(error))
                self._release(request_id)
            else:
                self._running.add(request_id)
                self.meter += EngineMeter(0, time.perf_counter() - began)

    def _release(self, *request_ids: str) -> None:
        """Take out requests that ended, and start what waited for them."""
        self._running.difference_update(request_ids)
        self._start(self._groups.remove(*request_ids))

    def _die(self, error: Exception) -> None:
        self._fail(dead(self._model, error))

    def _fail(self, death: EngineDeadError) -> None:
        self._death = death
        waiting, self._pending = self._pending, {}
        self._running.clear()
        self._groups.remove(*waiting)
        for request in waiting.values():
            request.response.settle(death)


def _block_pool(engine: Any) -> tuple[Any, int]:
    """The pool of KV blocks and the bytes of one in all its layers; none where the scheduler is not in this process."""
    core = getattr(getattr(engine, "engine_core", None), "engine_core", None)
    if core is None:
        return None, 0
    group = core.scheduler.kv_cache_config.kv_cache_groups[0]  # all groups have blocks of the same size
    return core.scheduler.kv_cache_manager.block_pool, group.kv_cache_spec.page_size_bytes * len(group.layer_names)
