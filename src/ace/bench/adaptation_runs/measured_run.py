"""One timed adaptation on the micro world."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ace.bench.adaptation_runs.config_modes import MAIN, ConfigSource, config_settings
from ace.bench.adaptation_runs.one_by_one import SerialBackend
from ace.bench.adaptation_runs.role_clock import RoleClock
from ace.bench.adaptation_runs.run_modes import BATCH, TARGET, Mode, run_settings
from ace.bench.hardware.engine_threads import set_engine_threads, threads_of
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.roofline import ModelCalls
from ace.config import Provider, RunSettings
from ace.engine import Event, run
from ace.engine.events import EvaluationStarted, RunStarted
from ace.inference import Backend, EngineMeter, ModelBinding, bind, open_backends
from ace.roles import CallRecord
from ace.store import RunStore
from ace.types import ROLES, Message, Request, Sampling, Usage

WARM_UP_WORLD = 500_000
WARM_UP = tuple(
    Request((Message("user", f"{number} is a number. Which one comes next?"),), Sampling(8, temperature=0.0, top_p=1.0))
    for number in range(4)
)
"""First requests to an engine; they share no prefix with any prompt of a run."""

ESCALATED = "escalated"
"""Beside the roles: calls that a larger model answered in the place of a role's own."""


@dataclass(frozen=True, slots=True)
class Work:
    """Work of a measured run: samples and epochs, in worlds `seed`, `seed` + 1, ..., one for each repetition.

    `batch` samples flow together unless the mode says otherwise. `threads` are what an engine has on a CPU; None: what
    ace gives a model of that size. With `config` that is what is run, and the numbers here are what it says.
    """

    samples: int
    epochs: int
    repetitions: int
    seed: int
    batch: int = BATCH
    threads: int | None = None
    config: ConfigSource | None = None

    @property
    def model(self) -> str:
        """The model that is measured, a name or a folder."""
        return TARGET if self.config is None else self.config.load().models[MAIN].model


@dataclass(frozen=True, slots=True)
class Adaptation:
    """One repetition.

    `role_s` are wall-clock seconds, shared out by `RoleClock`; `engine_s` were spent inside engine steps; `asked` is
    what each model was; `right` says of each held-out question whether it was answered right at the end.
    """

    seconds: float
    engine_s: float
    role_s: dict[str, float]
    calls: dict[str, int]
    model_calls: tuple[ModelCalls, ...]
    cached_share: float
    right: tuple[bool, ...]
    bullets: int


def measure_adaptations(mode: Mode, work: Work) -> list[Adaptation]:
    """All repetitions, in a process of their own, after a warm-up of kernels and grammars on another world.

    A config has one world, so that each of its repetitions is a process of its own after a short warm-up: no prefix
    cache is warm from before. Raises what starting a provider raises.
    """
    if work.config is None:
        return isolated(_measure, mode, work)
    return [isolated(_measure_config, mode, work, number) for number in range(work.repetitions)]


def _measure(mode: Mode, work: Work) -> list[Adaptation]:
    set_engine_threads(work.threads or threads_of(work.model))
    return asyncio.run(_repeat(mode, work))


def _measure_config(mode: Mode, work: Work, repetition: int) -> Adaptation:
    set_engine_threads(work.threads or threads_of(work.model))
    return asyncio.run(_adapt_config(mode, work, repetition))


async def _adapt_config(mode: Mode, work: Work, repetition: int) -> Adaptation:
    assert work.config is not None
    with TemporaryDirectory(prefix="ace-bench-") as folder:
        store = f"sqlite:///{Path(folder) / 'ace.db'}"
        settings = config_settings(mode, work.config, store=store, repetition=repetition)
        async with open_backends(settings) as backends:
            for engine in {id(backend): backend for backend in backends.values()}.values():
                await asyncio.gather(*(engine.complete(request) for request in WARM_UP))
            return await _adapt(settings, backends, serial=mode.serial)


async def _repeat(mode: Mode, work: Work) -> list[Adaptation]:
    worlds = [work.seed + WARM_UP_WORLD, *(work.seed + number for number in range(work.repetitions))]
    with TemporaryDirectory(prefix="ace-bench-") as folder:
        every = [
            run_settings(
                mode,
                store=f"sqlite:///{Path(folder) / f'{world}.db'}",
                samples=work.samples,
                epochs=work.epochs,
                world=world,
                batch=work.batch,
            )
            for world in worlds
        ]
        async with open_backends(every[0]) as backends:
            return [await _adapt(settings, backends, serial=mode.serial) for settings in every][1:]


async def _adapt(settings: RunSettings, backends: Mapping[str, Backend], *, serial: bool) -> Adaptation:
    clock, lock = RoleClock(), asyncio.Lock()

    def timed(binding: ModelBinding) -> Backend:
        backend = clock.over(binding.role if binding.tier == "own" else ESCALATED, binding.backend)
        return SerialBackend(backend, lock) if serial else backend

    watch = _Watch(backends.values(), clock)
    summary = await run(settings, backends=bind(settings, backends).wrap(timed), listener=watch)
    with RunStore.open(settings.store, create=False) as store:
        (test_evaluation,) = store.evaluations(summary.run)
        outcomes = store.outcomes(summary.run, evaluation=test_evaluation.index)
        calls = store.calls(summary.run)
    calls_by_role = Counter(call.role for call in calls)
    used = sum((call.usage for call in calls), Usage())
    return Adaptation(
        seconds=watch.seconds,
        engine_s=watch.engine_s,
        role_s=watch.role_s,
        calls={role: calls_by_role[role] for role in ROLES},
        model_calls=_model_calls(settings, calls, watch.steps, serial=serial),
        cached_share=used.cached_tokens / used.prompt_tokens,
        right=tuple(outcome.correct is True for outcome in outcomes),
        bullets=summary.playbook_bullets,
    )


def _model_calls(
    settings: RunSettings, calls: Sequence[CallRecord], steps: Mapping[str, int], *, serial: bool
) -> tuple[ModelCalls, ...]:
    models = {settings.models[key].model: settings.models[key] for key in settings.models_used}
    model_calls = []
    for name, model in models.items():
        usages = tuple(call.usage for call in calls if call.model == name)
        counted = steps_of(model.provider, usages, steps[name], serial=serial)
        model_calls.append(ModelCalls(name, usages, counted, model.speculative.model, model.replicas))
    return tuple(model_calls)


def steps_of(provider: Provider, usages: Iterable[Usage], stepped: int, *, serial: bool) -> int | None:
    """Count how often a model's weights were read: `stepped` times, where the engine counts its steps.

    transformers counts batches. One call at a time it takes a step for each token; in batches nobody counts.
    """
    if provider == "huggingface":
        return sum(usage.completion_tokens for usage in usages) if serial else None
    return stepped


class _Watch:
    """A listener that reads the clocks where the adaptation begins and where it ends."""

    def __init__(self, backends: Iterable[Backend], clock: RoleClock) -> None:
        self._engines = {id(backend): backend for backend in backends}
        self._clock = clock
        self._began = 0.0
        self._meters: dict[str, EngineMeter] = {}
        self.seconds = self.engine_s = 0.0
        self.steps: dict[str, int] = {}
        self.role_s: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._began, self._meters = time.perf_counter(), self._read()
        elif isinstance(event, EvaluationStarted):  # the only one, on the held-out questions
            self.seconds = time.perf_counter() - self._began
            spent = {model: meter - self._meters[model] for model, meter in self._read().items()}
            self.engine_s = sum(meter.step_s for meter in spent.values())
            self.steps = {model: meter.steps for model, meter in spent.items()}
            self.role_s = dict(self._clock.seconds)

    def _read(self) -> dict[str, EngineMeter]:
        """By model."""
        meters: dict[str, EngineMeter] = {}
        for backend in self._engines.values():
            if (meter := backend.meter()) is not None:
                meters[backend.info.model] = meters.get(backend.info.model, EngineMeter()) + meter
        return meters


def median_seconds(measured: Sequence[Adaptation]) -> float:
    """Over the repetitions."""
    return statistics.median(one.seconds for one in measured)


def mean_by_role(counts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over the repetitions, for each role and for what was escalated."""
    return {name: statistics.mean(count.get(name, 0.0) for count in counts) for name in (*ROLES, ESCALATED)}


def answers(measured: Sequence[Adaptation]) -> list[float]:
    """1 for each held-out question of all worlds that was answered right, else 0, in order."""
    return [float(right) for one in measured for right in one.right]
