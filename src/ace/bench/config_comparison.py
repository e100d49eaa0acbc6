"""Comparison of modes on a config's own model and task: single requests, then the whole run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ace.bench.adaptation_runs.config_modes import MAIN, ConfigSource, config_modes
from ace.bench.adaptation_runs.measured_run import Work
from ace.bench.adaptation_runs.run_comparison import RunReport, compare_modes
from ace.bench.adaptation_runs.run_modes import mode_options, select_modes
from ace.bench.hardware.engine_threads import threads_of
from ace.bench.hardware.measured_machine import Machine
from ace.bench.latency import ROWS, LatencyReport, LatencyRow, latency_row
from ace.bench.markdown_tables import report
from ace.bench.report import Chart, Partial, Report, ignore_partial
from ace.engine.preview import preview
from ace.errors import ConfigError
from ace.inference.precision import default_dtype
from ace.types import Message

LATENCY_TOKENS = 64
"""Tokens of each answer in the first table."""


@dataclass(frozen=True, slots=True)
class ConfigReport(Report):
    """Both tables; `runs` is None until the first of its modes is measured. `modes` are the available ones."""

    source: ConfigSource
    repetitions: int
    modes: tuple[str, ...]
    model: str
    task: str
    machine: Machine
    latency: LatencyReport | None = None
    runs: RunReport | None = None

    def to_markdown(self) -> str:
        rows = [] if self.runs is None else [row.mode for row in self.runs.rows]
        named = mode_options(rows, available=len(self.modes))
        prompts = f" --prompts {0 if self.latency is None else self.latency.prompts}"
        return report(
            f"ace bench run {self.source.options} --repetitions {self.repetitions}{prompts}{named}",
            self.machine,
            f"{self.model} on task '{self.task}', in {default_dtype()}.",
            *(() if self.latency is None else self.latency.parts()),
            *(() if self.runs is None else self.runs.parts()),
        )

    def charts(self) -> tuple[Chart, ...]:
        return tuple(chart for part in (self.runs, self.latency) if part is not None for chart in part.charts())


def measure_config(
    source: ConfigSource,
    *,
    repetitions: int,
    prompts: int,
    threads: int | None = None,
    modes: Sequence[str] = (),
    partial: Partial = ignore_partial,
) -> ConfigReport:
    """Measure `prompts` single requests (none with 0), then each mode. ConfigError; what starting a provider raises."""
    settings, inputs = source.load(), source.load_inputs()
    every = config_modes(settings)
    selected = select_modes(every, modes)
    batch = settings.adaptation.batch_size
    if not isinstance(batch, int):
        raise ConfigError.at("adaptation.batch_size", batch, "a number: every mode works in the same batches")
    work = Work(
        len(inputs.task.splits.train), settings.adaptation.epochs, repetitions, settings.seed, batch, threads, source
    )
    names = tuple(mode.name for mode in every)
    model = settings.models[MAIN].model.rstrip("/").rpartition("/")[2]
    so_far = ConfigReport(source, repetitions, names, model, inputs.task.name, Machine.here())
    if prompts:
        so_far = replace(so_far, latency=_measure_latency(source, prompts, threads or threads_of(work.model)))
        partial(so_far)

    def with_runs(runs: Report) -> None:
        assert isinstance(runs, RunReport)
        partial(replace(so_far, runs=runs))

    return replace(so_far, runs=compare_modes(work, selected, with_runs))


def _measure_latency(source: ConfigSource, prompts: int, threads: int) -> LatencyReport:
    settings = source.load()
    shared = asyncio.run(_generator_prompts(source, prompts + 1))
    rows: list[LatencyRow] = []
    for name, provider, warm in ROWS:
        messages_by_call = (
            shared if warm else [_unlike_others(number, messages) for number, messages in enumerate(shared)]
        )
        rows.append(latency_row(name, provider, settings.models[MAIN], messages_by_call, LATENCY_TOKENS, threads))
    return LatencyReport(
        tuple(rows), settings.models[MAIN].model, prompts, LATENCY_TOKENS, settings.seed, threads, Machine.here()
    )


async def _generator_prompts(source: ConfigSource, count: int) -> list[tuple[Message, ...]]:
    """The generator's prompts for the training samples, from the first again where there are not enough."""
    settings, inputs = source.load(), source.load_inputs()
    samples = inputs.task.splits.train
    previews = [await preview(settings, inputs, samples[number % len(samples)]) for number in range(count)]
    return [one.requests["generator"].messages for one in previews]


def _unlike_others(number: int, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The same prompt with nothing in common with the others."""
    first, *rest = messages
    return (Message(first.role, f"{number}. {first.content}"), *rest)
