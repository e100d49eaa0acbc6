"""`ace bench`: measure this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ace.cli.options import JsonPath
from ace.cli.terminal import message_console, show

app = typer.Typer(help="Measure this machine: medians, and ratios against a baseline in the same run.")


@app.callback(invoke_without_command=True)
def bench(ctx: typer.Context) -> None:
    """Without a subcommand, all benchmarks with their defaults."""
    if ctx.invoked_subcommand is None:
        throughput()


@app.command("throughput")
def throughput(
    requests: Annotated[int, typer.Option(min=1, help="How many requests each mode answers.")] = 50,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each mode runs; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The micro world whose questions are asked.")] = 0,
    json_path: JsonPath = None,
    markdown: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Also write the table to this file.", show_default=False)
    ] = None,
) -> None:
    """The same requests through transformers and vLLM, one by one and all at once."""
    from rich.text import Text

    from ace.bench import measure_throughput
    from ace.files import replace_file

    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
    report = measure_throughput(requests=requests, repetitions=repetitions, seed=seed)
    if json_path is not None:
        replace_file(json_path, json.dumps(report.to_json(), indent=2) + "\n")
    if markdown is not None:
        replace_file(markdown, report.to_markdown())
    show(Text(report.to_markdown()))
