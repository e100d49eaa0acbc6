"""A whole run: check everything that can be wrong, start the engines, evaluate, adapt, evaluate, close.

What is wrong with the settings, the data, the prompts or the store is found before an engine is loaded. Whatever ends
the run, what was committed stays, and the engines are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import signal
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ace.config import RunSettings
from ace.engine.adapt import adapt, best_version, ensure_evaluation, plan
from ace.engine.budget import Spending, spent_so_far
from ace.engine.cache import CompletionCache
from ace.engine.calls import Calls
from ace.engine.context import RunContext
from ace.engine.events import BudgetReached, EngineReady, Listener, RunFinished, RunStarted, silent
from ace.engine.summary import RunSummary, Timing, summarise
from ace.errors import BudgetReachedError, InterruptedRunError, StoreVersionError
from ace.inference import Backend, open_backends
from ace.playbook import Playbook, create_embedder, read_playbook
from ace.prompts import PromptPack, load_pack
from ace.store import RunStore
from ace.store.records import RunStatus
from ace.tasks import Task, load_task
from ace.types import RoleName

_INTERRUPTS = (asyncio.CancelledError, KeyboardInterrupt)


async def run(
    settings: RunSettings,
    *,
    listener: Listener = silent,
    resume: str | None = None,
    backends: Mapping[RoleName, Backend] | None = None,
) -> RunSummary:
    """Run `settings` from the start, or go on with the stored run `resume` that was made from them.

    `backends` given are used and left open; otherwise the settings' models are started and closed. Raises
    InterruptedRunError, after the run is marked as interrupted, on Ctrl-C, SIGTERM or cancellation.
    """
    started = time.perf_counter()
    parts = _prepare(settings)
    with RunStore.open(settings.store) as store:
        run_id = None if resume is None else _take_up(store, parts, resume)
        status: RunStatus
        try:
            async with _engines(settings, backends, listener) as live:
                if run_id is None:
                    run_id = store.create_run(
                        settings, task_digest=parts.task_digest, pack_digest=parts.pack.digest, playbook=parts.playbook
                    )
                context = _context(run_id, settings, parts, store, live, listener)
                with _terminable():
                    status, timing = await _work(context)
            info = context.backends["generator"].info
            version = best_version(context)
            summary = summarise(
                store,
                run_id,
                status=status,
                provider=info.provider,
                model=info.model,
                version=version,
                timing=replace(timing, wall_s=time.perf_counter() - started),
            )
            store.finish_run(run_id, status, summary=summary.to_json(), best_version=version)
        except BaseException as error:  # however it ends, the store is told
            if run_id is None:
                raise
            status = "interrupted" if isinstance(error, _INTERRUPTS) else "failed"
            store.finish_run(run_id, status)
            listener(RunFinished(run_id, status))
            if status == "failed":
                raise
            raise InterruptedRunError(
                f"run {run_id} was interrupted; its committed batches are safe", hint=f"ace resume {run_id}", run=run_id
            ) from None
    listener(RunFinished(run_id, status))
    return summary


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a run is made of, loaded and checked before any engine."""

    task: Task
    pack: PromptPack
    playbook: Playbook

    @property
    def task_digest(self) -> str:
        digest = hashlib.sha256()
        splits = self.task.splits
        for name, samples in (("train", splits.train), ("validation", splits.validation), ("test", splits.test)):
            for sample in samples:
                fields = (name, sample.id, sample.question, sample.context, sample.target or "")
                digest.update("\x1f".join(fields).encode("utf-8", "surrogatepass") + b"\x1e")
        return "sha256:" + digest.hexdigest()


def _prepare(settings: RunSettings) -> _Parts:
    task = load_task(settings.task, labels=settings.adaptation.labels)
    pack = load_pack(settings.prompts)
    initial = settings.playbook.initial
    playbook = read_playbook(initial) if initial else Playbook.empty(sections=pack.sections)
    return _Parts(task, pack, playbook)


def _take_up(store: RunStore, parts: _Parts, resume: str) -> str:
    """Own the run to resume, whose task and prompts must be what they were."""
    run_id = store.resolve(resume)
    known = store.run(run_id)
    for what, then, now in (
        ("task data", known.task_digest, parts.task_digest),
        ("prompt pack", known.pack_digest, parts.pack.digest),
    ):
        if then != now:
            raise StoreVersionError(
                f"run {run_id} cannot go on: its {what} was {then}, and is {now} now",
                hint=f"restore the {what}, or start a new run",
            )
    store.acquire(run_id)
    return run_id


def _context(
    run_id: str,
    settings: RunSettings,
    parts: _Parts,
    store: RunStore,
    live: Mapping[RoleName, Backend],
    listener: Listener,
) -> RunContext:
    gpus = _gpus(settings, live)
    spending = Spending(settings, spent_so_far(store, run_id, settings, gpus=gpus), gpus=gpus)
    return RunContext(
        run=run_id,
        settings=settings,
        task=parts.task,
        pack=parts.pack,
        backends=live,
        store=store,
        calls=Calls(run_id, store, live, spending, CompletionCache(settings, live, store)),
        embedder=create_embedder(settings.playbook.dedup),
        listener=listener,
    )


def _gpus(settings: RunSettings, live: Mapping[RoleName, Backend]) -> int:
    """GPUs that the engines in this process hold; two engines on one GPU count twice."""
    held: dict[int, int] = {}
    for role, backend in live.items():
        if backend.info.provider in ("vllm", "huggingface") and backend.info.device != "cpu":
            arguments = settings.models[settings.roles.of(role).model].engine_args
            sizes = (arguments.get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline"))
            held[id(backend)] = math.prod(sizes)
    return sum(held.values())


@contextlib.asynccontextmanager
async def _engines(
    settings: RunSettings, given: Mapping[RoleName, Backend] | None, listener: Listener
) -> AsyncIterator[Mapping[RoleName, Backend]]:
    """The roles' backends: those given, which stay open, or the settings' own."""
    async with contextlib.nullcontext(given) if given is not None else open_backends(settings) as backends:
        for backend in {id(backend): backend for backend in backends.values()}.values():
            info = backend.info
            listener(EngineReady(info.provider, info.model, info.device, info.start_s, info.reason))
        yield backends


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM cancel the running task, as `asyncio.run` lets Ctrl-C; only the main thread can."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def _work(context: RunContext) -> tuple[RunStatus, Timing]:
    """Evaluate the first playbook, adapt, evaluate the best one. Says how it ended, and what took how long."""
    store, settings = context.store, context.settings
    plans = plan(context)
    done = store.last_batch(context.run)
    resumed_at = done.index + 1 if done else 0
    context.listener(RunStarted(context.run, settings.mode, sum(len(p.samples) for p in plans), len(plans), resumed_at))
    first = store.playbook(context.run, store.playbook_versions(context.run)[0].version)
    clock = _Clock()
    status: RunStatus = "done"
    try:
        with clock.measure("evaluate"):
            if settings.evaluation.before and plans:
                await _held_out(context, first, "before", None)
        with clock.measure("adapt"):
            version = await adapt(context, plans)
        with clock.measure("evaluate"):
            if settings.evaluation.after:
                best = store.playbook(context.run, version)
                await _held_out(context, best, "after", len(plans) - 1 if plans else None)
    except BudgetReachedError as error:
        await context.calls.drain()
        context.listener(BudgetReached(context.run, error.message))
        status = "budget"
    start = sum({id(b): b.info.start_s for b in context.backends.values()}.values())
    return status, Timing(engine_start_s=start, adapt_s=clock.seconds["adapt"], evaluate_s=clock.seconds["evaluate"])


async def _held_out(context: RunContext, playbook: Playbook, label: str, after_batch: int | None) -> None:
    """Evaluate on the test split, where there is one."""
    if samples := context.task.splits.test:
        await ensure_evaluation(context, playbook, samples, label=label, split="test", after_batch=after_batch)


@dataclass(slots=True)
class _Clock:
    """Wall-clock seconds by name, added up."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started
