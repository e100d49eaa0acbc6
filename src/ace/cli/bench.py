"""`ace bench`: measure this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.options import JsonPath
from ace.cli.terminal import message_console, show

if TYPE_CHECKING:
    from ace.bench import CreditReport, OverheadReport, RunReport, SoakReport, StartReport, ThroughputReport

    Report = ThroughputReport | RunReport | OverheadReport | SoakReport | CreditReport | StartReport

MarkdownPath = Annotated[
    Path | None,
    typer.Option("--markdown", dir_okay=False, help="Also write the table to this file.", show_default=False),
]

app = typer.Typer(help="Measure this machine: medians, and ratios against a baseline in the same run.")


@app.callback(invoke_without_command=True)
def bench(ctx: typer.Context) -> None:
    """Without a subcommand, all benchmarks with their defaults."""
    os.environ["ACE_WARM"] = "0"  # what is measured has engines of its own
    if ctx.invoked_subcommand is None:
        throughput()
        run_modes()
        overhead()
        credit()
        soak()


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
    _give(report, json_path, markdown)


@app.command("run")
def run_modes(
    samples: Annotated[int, typer.Option(min=1, max=64, help="How many samples are learned from.")] = 50,
    epochs: Annotated[int, typer.Option(min=1, help="How often.")] = 1,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each mode runs; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The first world; each repetition has its own.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """A whole adaptation run through transformers and vLLM, with early stopping, and with a small model's help."""
    from rich.text import Text

    from ace.bench import measure_runs

    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
    _give(measure_runs(samples=samples, epochs=epochs, repetitions=repetitions, seed=seed), json_path, markdown)


@app.command("overhead")
def overhead(
    repetitions: Annotated[int, typer.Option(min=1, help="How often each is measured; the median counts.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the made-up bullets.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Merge, dedup, apply, render and budget on playbooks of 100 to 99 000 bullets."""
    from ace.bench import measure_overhead

    _give(measure_overhead(repetitions=repetitions, seed=seed), json_path, markdown)


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

    _give(measure_credit_ranking(trials=trials, planted=planted, seed=seed), json_path, markdown)


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
    _give(measure_soak(samples=samples, seed=seed), json_path, markdown)


@app.command("start")
def start(
    repetitions: Annotated[int, typer.Option(min=1, help="How often each mode starts; the median counts.")] = 3,
    compiled: Annotated[bool, typer.Option(help="Also vLLM with compilation, which takes a minute a start.")] = True,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """From a cold process to the first token: transformers, vLLM, a warm engine, and vLLM compiled."""
    from ace.bench import measure_start
    from ace.bench.start import MODES

    modes = [mode for mode in MODES if compiled or not mode.startswith("compiled")]
    _give(measure_start(repetitions=repetitions, modes=modes), json_path, markdown)


def _give(report: Report, json_path: Path | None, markdown: Path | None) -> None:
    from rich.text import Text

    from ace.files import replace_file

    if json_path is not None:
        replace_file(json_path, json.dumps(report.to_json(), indent=2) + "\n")
    if markdown is not None:
        replace_file(markdown, report.to_markdown())
    show(Text(report.to_markdown()))
