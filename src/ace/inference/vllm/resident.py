"""An engine on the stepping thread with the requests that wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from dataclasses import dataclass
from typing import Any

from ace.errors import AceError, EngineDeadError
from ace.inference.backend import EngineMeter
from ace.inference.vllm.environment import quiet
from ace.inference.vllm.errors import dead, rejected


@dataclass(frozen=True, slots=True)
class Finished:
    """vLLM's last output of a request and when it came, by `time.perf_counter`."""

    output: Any
    at: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who waits for a request: a future and the loop that it belongs to."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Finished]

    def give(self, result: Finished | AceError) -> None:
        """Settle the future on its own loop, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits any more
            self.loop.call_soon_threadsafe(self._settle, result)

    def _settle(self, result: Finished | AceError) -> None:
        if self.future.done():
            return
        if isinstance(result, AceError):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class Resident:
    """A vLLM engine and its waiting requests. Every method runs on the stepping thread.

    `meter` is replaced with every step, so that any thread may read it.
    """

    def __init__(self, engine: Any, model: str) -> None:
        self.engine = engine
        self._model = model
        self._tickets: dict[str, Ticket] = {}
        self._death: EngineDeadError | None = None
        self.meter = EngineMeter()
        self._pool, self._block_bytes = _block_pool(engine)

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._tickets)

    def add(self, request_id: str, token_ids: list[int], params: Any, ticket: Ticket) -> None:
        """Hand a request to the engine, which may be in the midst of others."""
        if self._death is not None:
            ticket.give(self._death)
        elif not ticket.future.cancelled():
            try:
                self.engine.add_request(request_id, {"prompt_token_ids": token_ids}, params, arrival_time=time.time())
            except Exception as error:
                ticket.give(rejected(error))
            else:
                self._tickets[request_id] = ticket

    def abort(self, request_id: str) -> None:
        """Give a request up; what it held of the KV cache is free with the next step."""
        if self._tickets.pop(request_id, None) is not None:
            try:
                self.engine.abort_request([request_id])
            except Exception as error:
                self._die(error)

    def step(self) -> None:
        """One step for all requests. Where it fails, the engine is dead and every request hears of it."""
        began = time.perf_counter()
        try:
            outputs = self.engine.step()
        except Exception as error:
            self._die(error)
            return
        self.meter += EngineMeter(1, time.perf_counter() - began, self._kv_bytes())
        for output in outputs:
            if output.finished and (ticket := self._tickets.pop(output.request_id, None)):
                ticket.give(Finished(output, time.perf_counter()))

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

    def _die(self, error: Exception) -> None:
        self._fail(dead(self._model, error))

    def _fail(self, death: EngineDeadError) -> None:
        self._death = death
        tickets, self._tickets = self._tickets, {}
        for ticket in tickets.values():
            ticket.give(death)


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
