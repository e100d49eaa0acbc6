"""The lifecycle of a run: its record in the store, its engines, signals that stop it, and its final status.

Whatever ends the work, its commits stay, and its engines are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from ace._util.masking import mask
from ace.config import RunSettings
from ace.engine.calls.call_gateway import CallGateway
from ace.engine.calls.completion_cache import CompletionCache, has_answers
from ace.engine.calls.role_runner import RoleRunner
from ace.engine.calls.spending import Spending, spent_so_far
from ace.engine.concurrency.blocking_pool import BlockingPool
from ace.engine.context import RunContext
from ace.engine.context_check import check_contexts
from ace.engine.events import BudgetReached, EngineReady, EngineStartDeferred, Listener, RunFinished, null_listener
from ace.engine.loop.adaptation import best_version
from ace.engine.run_control import RunControl
from ace.engine.run_inputs import RunInputs, with_stored_pack
from ace.engine.summary import RunSummary, Timing, summarise
from ace.errors import BudgetReachedError, InterruptedRunError, StoreVersionError
from ace.inference import Backend, Backends, Bindings, bind, open_backends
from ace.inference.backend import EngineMeter
from ace.inference.wrappers.lazy_backend import LazyBackend
from ace.playbook import Embedder, create_embedder
from ace.playbook.guard import scan
from ace.store import RunStore
from ace.store.records import RunStatus

_INTERRUPTS = (asyncio.CancelledError, KeyboardInterrupt)


@dataclass(slots=True)
class Clock:
    """Total wall-clock seconds of `adapt` and `evaluate`, and those in which an engine was stepping."""

    meter: Callable[[], EngineMeter | None] = lambda: None
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    engine_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        started, before = time.perf_counter(), self.meter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started
            if before is not None and (after := self.meter()) is not None:
                self.engine_s[name] += (after - before).step_s


Work = Callable[[RunContext, Clock], Awaitable[None]]
"""The work of a run between its start and its end."""


async def run_session(
    settings: RunSettings,
    inputs: RunInputs,
    work: Work,
    *,
    listener: Listener = null_listener,
    resume: str | None = None,
    backends: Backends | None = None,
) -> RunSummary:
    """Open the run, do `work`, and record how it ended. See `ace.engine.run`."""
    started = time.perf_counter()
    if settings.playbook.guard.policy != "off":
        scan("")  # the first scan loads its patterns; after the first batch an engine would wait for that
    embedder = create_embedder(settings.playbook.dedup)
    with RunStore.open(settings.store) as store:
        run_id: str | None = None
        if resume is not None:
            run_id, inputs = _reopen(store, inputs, resume)
        status: RunStatus
        control: RunControl | None = None
        try:
            async with open_engines(settings, inputs, backends, store, listener) as live:
                run_id = run_id or _create(store, settings, inputs)
                control = RunControl(store, run_id, listener)
                clock = Clock(lambda: EngineMeter.total(engine.meter() for engine in live.engines))
                with contextlib.closing(BlockingPool(inputs.task)) as blocking_pool, _cancel_on_sigterm():
                    context = open_context(
                        run_id,
                        settings,
                        inputs,
                        store,
                        live,
                        embedder=embedder,
                        blocking_pool=blocking_pool,
                        listener=listener,
                        control=control,
                    )
                    async with control.watch():
                        status, reason = await _within_budget(context, work, clock)
            summary = _summarise(context, clock, started, status, reason)
            store.finish_run(
                run_id, status, summary=summary.to_json(), best_version=summary.playbook_version, error=reason
            )
        except BaseException as error:  # every end is recorded
            if run_id is None:
                raise
            status = "interrupted" if isinstance(error, _INTERRUPTS) else "failed"
            store.finish_run(run_id, status, error=_cause(error) if status == "failed" else None)
            listener(RunFinished(run_id, status))
            if status == "failed":
                raise
            ended = "stopped" if control is not None and control.stopped else "interrupted"
            raise InterruptedRunError(
                f"run {run_id} was {ended}; its committed batches are safe", hint=f"ace resume {run_id}", run=run_id
            ) from None
    listener(RunFinished(run_id, status))
    return summary


def _create(store: RunStore, settings: RunSettings, inputs: RunInputs) -> str:
    return store.create_run(
        settings, task_digest=inputs.task_digest, pack_digest=inputs.pack.digest, playbook=inputs.playbook
    )


def _summarise(context: RunContext, clock: Clock, started: float, status: RunStatus, reason: str | None) -> RunSummary:
    engines = [engine.info for engine in context.bindings.engines]
    generator = context.bindings.get("generator").backend.info
    return summarise(
        context.store,
        context.run,
        status=status,
        provider=generator.provider,
        model=generator.name,
        version=best_version(context),
        timing=Timing(
            engine_start_s=sum(info.start_s for info in engines),
            adapt_s=clock.seconds["adapt"],
            engine_s=clock.engine_s.get("adapt"),
            evaluate_s=clock.seconds["evaluate"],
            wall_s=time.perf_counter() - started,
        ),
        engines={info.name: info.reason for info in engines},
        reason=reason,
        endpoints=tuple(
            figures for engine in context.bindings.engines for figures in getattr(engine, "endpoint_figures", ())
        ),
    )


async def _within_budget(context: RunContext, work: Work, clock: Clock) -> tuple[RunStatus, str | None]:
    """Do `work` and return its status and reason. Where the budget ends it, the calls in flight are still stored."""
    try:
        await work(context, clock)
    except BudgetReachedError as error:
        await context.calls.drain()
        context.listener(BudgetReached(context.run, error.message))
        return "budget", error.message
    finally:
        context.calls.flush()
    return "done", None


def _cause(error: BaseException) -> str:
    """The error that ended a run, for the store."""
    return f"{type(error).__name__}: {mask(str(error))}"


def _reopen(store: RunStore, inputs: RunInputs, resume: str) -> tuple[str, RunInputs]:
    """Acquire the run to resume. Task data and prompts must be unchanged; a packaged pack gets its old version."""
    run_id = store.resolve(resume)
    stored = store.run(run_id)
    inputs = with_stored_pack(inputs, stored.pack_digest)
    for what, then, now in (
        ("task data", stored.task_digest, inputs.task_digest),
        ("prompt pack", stored.pack_digest, inputs.pack.digest),
    ):
        if then != now:
            raise StoreVersionError(
                f"run {run_id} cannot be resumed: its {what} had {then}, and has {now} now",
                hint=f"restore the {what}, or start a new run",
            )
    store.acquire(run_id)
    return run_id, inputs


def open_context(
    run_id: str,
    settings: RunSettings,
    inputs: RunInputs,
    store: RunStore,
    bindings: Bindings,
    *,
    embedder: Embedder,
    blocking_pool: BlockingPool,
    listener: Listener,
    control: RunControl | None = None,
) -> RunContext:
    """Bring together what the loop needs of a run, with what the run has spent so far.

    Without `control`, nobody can pause it.
    """
    control = control or RunControl(store, run_id, listener)
    spending = Spending(settings.budget, spent_so_far(store, run_id, bindings), gpus=bindings.gpus)
    calls = CallGateway(run_id, store, spending, CompletionCache(settings.cache, store), listener, control.admit)
    return RunContext(
        run=run_id,
        settings=settings,
        task=inputs.task,
        pack=inputs.pack,
        bindings=bindings,
        store=store,
        calls=calls,
        roles=RoleRunner(settings, inputs.task, inputs.pack, bindings, calls, embedder, listener),
        embedder=embedder,
        blocking_pool=blocking_pool,
        listener=listener,
    )


@contextlib.asynccontextmanager
async def open_engines(
    settings: RunSettings, inputs: RunInputs, backends: Backends | None, store: RunStore, listener: Listener
) -> AsyncIterator[Bindings]:
    """Bind `backends`, which stay open, or the settings' own models.

    The engines of these start with their first call where the completion cache probably answers everything.
    """

    def ready(backend: Backend) -> None:
        info = backend.info
        listener(EngineReady(info.provider, info.model, info.device, info.start_s, info.reason, info.memory_bytes))

    if backends is None:
        check_contexts(settings, inputs)
    own = open_backends(settings, deferred=ready if has_answers(settings, store) else None)
    async with own if backends is None else contextlib.nullcontext(backends) as live:
        bindings = bind(settings, live)
        for backend in bindings.engines:
            if isinstance(backend, LazyBackend):
                listener(EngineStartDeferred(backend.info.provider, backend.info.model))
            else:
                ready(backend)
        yield bindings


@contextlib.contextmanager
def _cancel_on_sigterm() -> Iterator[None]:
    """Let SIGTERM cancel the running task, as Ctrl-C does in `asyncio.run`. Only the main thread can."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
