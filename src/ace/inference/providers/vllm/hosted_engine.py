"""An engine on the stepping thread with the requests that wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ace._util.futures import settle_from_thread
from ace.errors import AceError, EngineDeadError
from ace.inference.backend import EngineMeter
from ace.inference.providers.vllm.engine_environment import quiet
from ace.inference.providers.vllm.sleep_scheduler import Begin, SleepScheduler
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
    """Who waits for a request: a future and the loop that it belongs to."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Finished]

    def give(self, result: Finished | AceError) -> None:
        """Settle the future on its own loop, from any thread."""
        settle_from_thread(self.loop, self.future, result)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for an engine, and who waits for it. `lora` is vLLM's `LoRARequest`, None for the model as it is."""

    id: str
    token_ids: list[int]
    params: Any
    ticket: ResponseHandle
    lora: Any = None


class HostedEngine:
    """A vLLM engine and its waiting requests. Every method runs on the stepping thread.

    Without `mixing` only requests of one adapter run at a time: on a CPU vLLM answers those without an adapter with
    that of another request of their batch (0.32). With a `rota` the engine sleeps while others of it have their turn.
    `meter` is replaced with every step, so that any thread may read it.
    """

    def __init__(self, engine: Any, model: str, *, mixing: bool = True, rota: SleepScheduler | None = None) -> None:
        self.engine = engine
        self._model = model
        self._mixing = mixing
        self._rota = rota
        self._held: dict[str, Begin] = {}
        self._turns: ExclusiveGroups[str | None, str] = ExclusiveGroups(MOST_JOINING)
        self._asked: dict[str, Asked] = {}
        self._running: set[str] = set()
        self._death: EngineDeadError | None = None
        self.meter = EngineMeter()
        self._pool, self._block_bytes = _block_pool(engine)

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._running)

    def add(self, asked: Asked) -> None:
        """Hand a request to the engine, which may be in the midst of others, as soon as it may run beside them."""
        if self._death is not None:
            asked.ticket.give(self._death)
        elif not asked.ticket.future.cancelled():
            self._asked[asked.id] = asked
            if self._rota is None:
                self._admit(asked)
            else:
                self._held[asked.id] = begin = partial(self._admit, asked)
                self._rota.ask(self, begin)

    def abort(self, request_id: str) -> None:
        """Give a request up; what it held of the KV cache is free with the next step."""
        if self._asked.pop(request_id, None) is None:
            return
        if request_id in self._running:
            try:
                self.engine.abort_request([request_id])
            except Exception as error:
                self._die(error)
        self._leave(request_id)

    def step(self) -> None:
        """One step for all requests. Where it fails, the engine is dead and every request hears of it."""
        began = time.perf_counter()
        try:
            outputs = self.engine.step()
        except Exception as error:
            self._die(error)
            return
        self.meter += EngineMeter(1, time.perf_counter() - began, self._kv_bytes())
        finished = [output for output in outputs if output.finished]
        for output in finished:
            if asked := self._asked.pop(output.request_id, None):
                asked.ticket.give(Finished(output, time.perf_counter()))
        if finished:
            self._leave(*(output.request_id for output in finished))

    def sleep(self) -> None:
        """Free the device: weights go to the machine's memory, and the KV cache is given up."""
        if self.engine is not None and self._death is None:
            try:
                self.engine.sleep(level=1)
            except Exception as error:
                self._die(error)

    def wake(self) -> None:
        """Take the device's memory again."""
        if self.engine is not None and self._death is None:
            try:
                self.engine.wake_up()
            except Exception as error:
                self._die(error)

    def _kv_bytes(self) -> int:
        """KV cache that running requests hold, shared blocks once. Those that ended with this step do not count."""
        if self._pool is None:
            return 0
        return int(self._pool.num_gpu_blocks - 1 - self._pool.get_num_free_blocks()) * self._block_bytes

    def shut_down(self, *, last: bool) -> None:
        """Free the engine's memory and workers; requests that still wait hear that it is gone."""
        self._fail(EngineDeadError(f"the vLLM engine of {self._model} was closed", model=self._model))
        engine, self.engine = self.engine, None
        with quiet(), contextlib.suppress(Exception):
            _shut_down(engine, last)
        del engine
        gc.unfreeze()  # vLLM froze its start-up heap, which would keep the weights for ever
        gc.collect()
        self._leave_rota(*self._held)  # a dead engine holds memory, and so the turn, until now

    def _admit(self, asked: Asked) -> None:
        """The engine is awake."""
        if self._death is None:
            apart = asked.lora.lora_name if asked.lora is not None and not self._mixing else None
            self._start(self._turns.ask(apart, asked.id))

    def _start(self, request_ids: Iterable[str]) -> None:
        """Their turn has come. One that the engine refuses leaves at once."""
        for request_id in request_ids:
            asked = self._asked[request_id]
            prompt = {"prompt_token_ids": asked.token_ids}
            began = time.perf_counter()
            try:
                self.engine.add_request(
                    request_id, prompt, asked.params, arrival_time=time.time(), lora_request=asked.lora
                )
            except Exception as error:
                del self._asked[request_id]
                asked.ticket.give(rejected(error))
                self._leave(request_id)
            else:
                self._running.add(request_id)
                self.meter += EngineMeter(0, time.perf_counter() - began)

    def _leave(self, *request_ids: str) -> None:
        self._running.difference_update(request_ids)
        self._start(self._turns.leave(*request_ids))
        if self._death is None:
            self._leave_rota(*request_ids)

    def _leave_rota(self, *request_ids: str) -> None:
        if self._rota is not None:
            self._rota.leave(*(self._held.pop(one) for one in request_ids if one in self._held))

    def _die(self, error: Exception) -> None:
        self._fail(dead(self._model, error))

    def _fail(self, death: EngineDeadError) -> None:
        self._death = death
        waiting, self._asked = self._asked, {}
        self._running.clear()
        self._turns.leave(*waiting)
        for asked in waiting.values():
            asked.ticket.give(death)


def _block_pool(engine: Any) -> tuple[Any, int]:
    """The pool of KV blocks and the bytes of one in all its layers; none where the scheduler is not in this process."""
    core = getattr(getattr(engine, "engine_core", None), "engine_core", None)
    if core is None:
        return None, 0
    group = core.scheduler.kv_cache_config.kv_cache_groups[0]  # all groups have blocks of the same size
    return core.scheduler.kv_cache_manager.block_pool, group.kv_cache_spec.page_size_bytes * len(group.layer_names)


def _shut_down(engine: Any, last: bool) -> None:
    client = engine.engine_core
    core = getattr(client, "engine_core", None)
    if last or core is None:
        client.shutdown()
        return
    # vLLM's own shutdown also takes down torch.distributed, which the other engines of this process still need.
    client._finalizer.detach()
    core.model_executor.shutdown()
    core.scheduler.shutdown()
