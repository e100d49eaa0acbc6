"""`ace bench`: measure this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from ace.cli.options import JsonPath
from ace.cli.report_output import MarkdownPath, give, keeper
from ace.cli.terminal import FAILED_SAMPLES, message_console, show

Seed = Annotated[int, typer.Option(min=0, help="The first micro world.")]
Shape = Annotated[str, typer.Option(help="A shape with random weights: see `ace bench replay`.")]
ShapeName = Annotated[
    str | None, typer.Option("--shape", help="Use this shape wherever one is used.", show_default=False)
]

Modes = Annotated[
    list[str] | None,
    typer.Option("--mode", help="Only this row of the table; the first is compared with.", show_default=False),
]

app = typer.Typer(help="Measure this machine: medians, and ratios against a baseline in the same run.")


@app.callback(invoke_without_command=True)
def bench(ctx: typer.Context) -> None:
    """Without a subcommand, all benchmarks with their defaults."""
    os.environ["ACE_WARM"] = "0"  # what is measured has engines of its own
    if ctx.invoked_subcommand is None:
        everything()


@app.command("all")
def everything(
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes: to see that all of it works here.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this benchmark. Can be given several times.", show_default=False)
    ] = None,
    shape: ShapeName = None,
    seed: Seed = 0,
    output: Annotated[
        Path, typer.Option(file_okay=False, help="The folder for the pages and each benchmark's JSON.")
    ] = Path("ace-bench"),
) -> None:
    """Everything, one after the other, on one page with charts. What fails is told, and the rest goes on."""
    from rich.text import Text

    from ace._util.files import replace_file
    from ace.bench import BENCHMARKS, Part, measure_all
    from ace.bench.machine import Machine
    from ace.errors import ConfigError
    from ace.reporting.benchmark_pages import benchmarks_html, benchmarks_markdown

    known = [benchmark.name for benchmark in BENCHMARKS]
    for name in only or []:
        if name not in known:
            raise ConfigError.at("--only", name, ", ".join(known))
    chosen = [benchmark for benchmark in BENCHMARKS if not only or benchmark.name in only]
    machine, parts = Machine.here(), list[Part]()
    message_console().print(Text(f"measuring {', '.join(b.name for b in chosen)}"), soft_wrap=True)
    for part in measure_all(chosen, quick=quick, seed=seed, shape=shape):
        parts.append(part)
        how = "failed" if part.report is None else "done"
        message_console().print(Text(f"{part.benchmark.name}: {how} in {part.seconds:.0f} s"), soft_wrap=True)
        if part.report is not None:
            replace_file(output / f"{part.benchmark.name}.json", json.dumps(part.report.to_json(), indent=2) + "\n")
        replace_file(output / "index.md", benchmarks_markdown(parts, machine))
        replace_file(output / "index.html", benchmarks_html(parts, machine))
    show(Text(benchmarks_markdown(parts, machine)))
    if any(part.report is None for part in parts):
        raise typer.Exit(FAILED_SAMPLES)


@app.command("replay")
def replay(
    shape: Annotated[str, typer.Option(help="micro, 0.15b, 0.36b, qwen2.5-3b, qwen2.5-7b, or a folder.")] = "0.36b",
    small_shape: Annotated[
        str | None, typer.Option(help="What plays the small roles; else one that fits.", show_default=False)
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Cut the shapes to so many.", show_default=False)] = None,
    samples: Annotated[int, typer.Option(min=1, max=64, help="How many samples the recorded run learns from.")] = 50,
    epochs: Annotated[int, typer.Option(min=1, help="How often.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Samples that the recorded run works on together.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each mode runs; the median counts.")] = 1,
    seed: Seed = 0,
    trace: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Replay this trace instead.", show_default=False)
    ] = None,
    save_trace: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Keep the recorded trace.", show_default=False)
    ] = None,
    mode: Modes = None,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """A recorded run's calls, with the same lengths, by a model of any shape with random weights."""
    from ace.bench import measure_replay
    from ace.bench.modes import chosen
    from ace.bench.replay import REPLAY_MODES

    report = measure_replay(
        shape=shape,
        small_shape=small_shape,
        layers=layers,
        samples=samples,
        epochs=epochs,
        batch=batch,
        repetitions=repetitions,
        seed=seed,
        trace=trace,
        save=save_trace,
        modes=chosen(REPLAY_MODES, mode or ()),
        partial=keeper(json_path, markdown),
    )
    give(report, json_path, markdown)


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

    give(measure_latency(shape=shape, prompts=prompts, tokens=tokens, seed=seed), json_path, markdown)


@app.command("reflect")
def reflect(
    shape: Shape = "micro",
    samples: Annotated[int, typer.Option(min=1, help="Samples of the batch.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each mode runs; the median counts.")] = 3,
    seed: Seed = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """The reflector alone, three rounds on each sample of a batch."""
    from ace.bench import measure_reflect

    give(measure_reflect(shape=shape, samples=samples, repetitions=repetitions, seed=seed), json_path, markdown)


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
    give(report, json_path, markdown)


@app.command("batch")
def batch(
    samples: Annotated[int, typer.Option(min=1, max=64, help="How many samples are learned from.")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="How often.")] = 1,
    repetitions: Annotated[int, typer.Option(min=1, help="How many worlds each size learns.")] = 5,
    seed: Seed = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Batch sizes from one to 64 and auto: speed, and accuracy against one by one."""
    from ace.bench import measure_batches

    keep = keeper(json_path, markdown)
    report = measure_batches(samples=samples, epochs=epochs, repetitions=repetitions, seed=seed, partial=keep)
    give(report, json_path, markdown)


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
    give(report, json_path, markdown)


@app.command("run")
def run_modes(
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
    """A whole adaptation run through transformers and vLLM, with early stopping, and with a small model's help."""
    from rich.text import Text

    from ace.bench import measure_runs
    from ace.bench.modes import MODES, chosen

    modes = chosen(MODES, mode or ())
    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
    report = measure_runs(
        samples=samples,
        epochs=epochs,
        batch=batch,
        repetitions=repetitions,
        seed=seed,
        threads=threads,
        modes=modes,
        partial=keeper(json_path, markdown),
    )
    give(report, json_path, markdown)


@app.command("prefix")
def prefix(
    samples: Annotated[
        int, typer.Option(min=32, max=2400, help="How many samples the recorded run learns from.")
    ] = 200,
    top: Annotated[int, typer.Option(min=1, help="Bullets of a prompt where they are retrieved by question.")] = 16,
    tokens: Annotated[int, typer.Option(min=1, help="The most tokens that each request generates.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each runs; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The first world; each repetition has its own.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """One run's prompts laid out for the prefix cache, with counters in them, and with bullets by question."""
    from rich.text import Text

    from ace.bench import measure_prefix

    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
    report = measure_prefix(samples=samples, top=top, tokens=tokens, repetitions=repetitions, seed=seed)
    give(report, json_path, markdown)


@app.command("speculative")
def speculative(
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
    """Speculative decoding, method by method; what pays here is kept for `models.*.speculative: auto`."""
    from rich.text import Text

    from ace.bench import measure_speculative
    from ace.bench.speculative import BATCHES

    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
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
    give(report, json_path, markdown)


@app.command("saturation")
def saturation(
    samples: Annotated[int, typer.Option(min=1, max=128, help="How many samples are learned from.")] = 50,
    batch: Annotated[int, typer.Option(min=1, help="Samples of a batch.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="Worlds that each setting learns; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The first world; each repetition has its own.")] = 0,
    shape: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Random weights of a shape of replay, instead of the micro model."),
    ] = None,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """How full a run keeps the engine, with and without a pipeline, against the same requests all at once."""
    from rich.text import Text

    from ace.bench.saturation import measure_saturation

    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
    report = measure_saturation(
        samples=samples,
        batch=batch,
        repetitions=repetitions,
        seed=seed,
        shape=shape,
        partial=keeper(json_path, markdown),
    )
    give(report, json_path, markdown)


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
    from ace.bench.start import MODES

    modes = [mode for mode in MODES if compiled or not mode.startswith("compiled")]
    give(measure_start(repetitions=repetitions, seed=seed, modes=modes), json_path, markdown)


@app.command("overhead")
def overhead(
    repetitions: Annotated[int, typer.Option(min=1, help="How often each is measured; the median counts.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the made-up bullets.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Merge, dedup, apply, render and budget on playbooks of 100 to 99 000 bullets."""
    from ace.bench import measure_overhead

    give(measure_overhead(repetitions=repetitions, seed=seed), json_path, markdown)


@app.command("credit")
def credit(
    trials: Annotated[int, typer.Option(min=1, help="How many worlds.")] = 40,
    planted: Annotated[int, typer.Option(min=1, max=6, help="False bullets in each playbook.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="The first world.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Whether the ranking of `ace playbook credit` puts planted false bullets last."""
    from ace.bench import measure_credit_ranking

    give(measure_credit_ranking(trials=trials, planted=planted, seed=seed), json_path, markdown)


@app.command("soak")
def soak(
    samples: Annotated[
        int, typer.Option(min=1000, help="How many samples the run has, rounded up to whole epochs of 500.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="The micro world that is learned.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """One long run with a scripted model: memory, open files, store size and speed from beginning to end."""
    from rich.text import Text

    from ace.bench import measure_soak

    message_console().print(Text("measuring; ten thousand samples take a few minutes"), soft_wrap=True)
    give(measure_soak(samples=samples, seed=seed), json_path, markdown)
