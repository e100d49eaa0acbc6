"""`ace bench`: measure this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.bench_output import (
    BenchConfig,
    MarkdownPath,
    Modes,
    Seed,
    Shape,
    create_bench_app,
    report_writer,
    write_report,
)
from ace.cli.options import JsonPath, Overrides
from ace.cli.terminal import message_console

if TYPE_CHECKING:
    from ace.bench import Benchmark


def _benchmarks() -> Sequence[Benchmark]:
    from ace.bench import BENCHMARKS

    return BENCHMARKS


app = create_bench_app(
    "Measure this machine: medians, and ratios against a baseline in the same run.", _benchmarks, folder="ace-bench"
)


@app.command("run")
def run_modes(
    config: BenchConfig = None,
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
    prompts: Annotated[
        int, typer.Option(min=0, help="With --config: requests one at a time, before the runs; 0 for none.")
    ] = 10,
    samples: Annotated[int, typer.Option(min=1, max=64, help="How many samples are learned from.")] = 50,
    epochs: Annotated[int, typer.Option(min=1, help="How often.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Samples that flow together, in every mode.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each mode runs; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The first world; each repetition has its own.")] = 0,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Of an engine on a CPU; else what ace gives such a model.", show_default=False),
    ] = None,
    mode: Modes = None,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """A whole adaptation run through transformers and vLLM, with early stopping, and with a small model's help.

    With --config the samples, epochs, batches and the seed are the config's.
    """
    from rich.text import Text

    from ace.bench import measure_config, measure_runs
    from ace.bench.adaptation_runs.config_modes import ConfigSource
    from ace.bench.adaptation_runs.run_modes import MODES, select_modes

    if config is not None:
        writer = report_writer(json_path, markdown)
        source = ConfigSource(str(config), tuple(overrides))
        measured = measure_config(
            source, repetitions=repetitions, prompts=prompts, threads=threads, modes=mode or (), partial=writer
        )
        return write_report(measured, json_path, markdown)
    modes = select_modes(MODES, mode or ())
    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
    report = measure_runs(
        samples=samples,
        epochs=epochs,
        batch=batch,
        repetitions=repetitions,
        seed=seed,
        threads=threads,
        modes=modes,
        partial=report_writer(json_path, markdown),
    )
    write_report(report, json_path, markdown)


@app.command("latency")
def latency(
    shape: Shape = "micro",
    prompts: Annotated[int, typer.Option(min=1, help="How many are asked, one by one; medians count.")] = 20,
    tokens: Annotated[int, typer.Option(min=2, help="Of each answer.")] = 64,
    seed: Seed = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """One request at a time: first token, tokens a second, whole answer."""
    from ace.bench import measure_latency

    write_report(measure_latency(shape=shape, prompts=prompts, tokens=tokens, seed=seed), json_path, markdown)


@app.command("throughput")
def throughput(
    requests: Annotated[int, typer.Option(min=1, help="How many requests each mode answers.")] = 50,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each mode runs; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The micro world whose questions are asked.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """The same requests through transformers and vLLM, one by one and all at once."""
    from rich.text import Text

    from ace.bench import measure_throughput

    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
    report = measure_throughput(requests=requests, repetitions=repetitions, seed=seed)
    write_report(report, json_path, markdown)


@app.command("memory")
def memory(
    shape: Shape = "micro",
    requests: Annotated[int, typer.Option(min=2, max=64, help="Requests of the batch.")] = 48,
    tokens: Annotated[int, typer.Option(min=1, help="Of each answer.")] = 64,
    budget_mib: Annotated[int, typer.Option(min=1, help="How many requests fit into so much KV cache?")] = 256,
    seed: Seed = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Bytes of KV cache for the same requests: contiguous against paged."""
    from ace.bench import measure_memory

    report = measure_memory(shape=shape, requests=requests, tokens=tokens, budget_mib=budget_mib, seed=seed)
    write_report(report, json_path, markdown)


@app.command("speculative")
def speculative(
    config: BenchConfig = None,
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
    requests: Annotated[int, typer.Option(min=1, help="How many requests of a run each method answers.")] = 48,
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, help="How many are under way at once; may be repeated. Default: 1 and 16."),
    ] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each is measured; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The first micro world; each repetition has its own.")] = 0,
    model: Annotated[str, typer.Option(help="The model whose answers are sped up.")] = "micro-target",
    draft: Annotated[str, typer.Option(help="The model that drafts; '' for none.")] = "micro-draft",
    compiled: Annotated[bool, typer.Option("--compile", help="With models.*.compile: true.")] = False,
    keep: Annotated[bool, typer.Option(help="Keep the verdict for `speculative: auto`.")] = True,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Speculative decoding, method by method; what pays here is kept for `models.*.speculative: auto`.

    With --config the model `main` answers the requests of its own run, and `small` drafts. --seed, --model, --draft and
    --compile have no effect then.
    """
    from rich.text import Text

    from ace.bench import measure_config_speculative, measure_speculative
    from ace.bench.adaptation_runs.config_modes import ConfigSource
    from ace.bench.speculative_methods import BATCHES

    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
    if config is not None:
        source = ConfigSource(str(config), tuple(overrides))
        measured = measure_config_speculative(
            source, requests=requests, batches=batch or BATCHES, repetitions=repetitions, keep=keep
        )
        return write_report(measured, json_path, markdown)
    report = measure_speculative(
        requests=requests,
        batches=batch or BATCHES,
        repetitions=repetitions,
        seed=seed,
        model=model,
        draft=draft or None,
        compiled=compiled,
        keep=keep,
    )
    write_report(report, json_path, markdown)


@app.command("start")
def start(
    repetitions: Annotated[int, typer.Option(min=1, help="How often each mode starts; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="What the first request asks.")] = 0,
    compiled: Annotated[bool, typer.Option(help="Also vLLM with compilation, which takes a minute a start.")] = True,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """From a cold process to the first token: transformers, vLLM, a warm engine, and vLLM compiled."""
    from ace.bench import measure_start
    from ace.bench.startup_time import MODES

    modes = [mode for mode in MODES if compiled or not mode.startswith("compiled")]
    write_report(measure_start(repetitions=repetitions, seed=seed, modes=modes), json_path, markdown)
