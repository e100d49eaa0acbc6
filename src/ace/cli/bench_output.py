"""Options and output of benchmark commands: reports on the terminal and in files, which also show partial results."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.terminal import FAILED_SAMPLES, message_console, show

if TYPE_CHECKING:
    from ace.bench import Benchmark, Report

MarkdownPath = Annotated[
    Path | None,
    typer.Option("--markdown", dir_okay=False, help="Also write the table to this file.", show_default=False),
]

Seed = Annotated[int, typer.Option(min=0, help="The first micro world.")]
Shape = Annotated[str, typer.Option(help="micro, 0.15b, 0.36b, qwen2.5-3b, qwen2.5-7b, or a folder; random weights.")]
ShapeName = Annotated[
    str | None, typer.Option("--shape", help="Use this shape wherever one is used.", show_default=False)
]
BenchConfig = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Measure this config's task with its model `main` (and `small`) instead of the micro world.",
        show_default=False,
    ),
]
Modes = Annotated[
    list[str] | None,
    typer.Option("--mode", help="Only this row of the table; ratios are against the first.", show_default=False),
]
Quick = Annotated[bool, typer.Option("--quick", help="Tiny sizes: to see that all of it works here.")]
Only = Annotated[
    list[str] | None, typer.Option(help="Only this benchmark. Can be given several times.", show_default=False)
]
OutputFolder = Annotated[
    Path, typer.Option(file_okay=False, help="The folder for the pages and each benchmark's JSON.")
]


def create_bench_app(help: str, benchmarks: Callable[[], Sequence[Benchmark]], *, folder: str) -> typer.Typer:
    """Create a command group over `benchmarks`. Its command `all`, also the default, writes their page to `folder`."""
    app = typer.Typer(help=help)

    @app.callback(invoke_without_command=True)
    def bench(ctx: typer.Context) -> None:
        """Without a subcommand, all benchmarks with their defaults."""
        os.environ["ACE_WARM"] = "0"  # measure engines of this process only, never a warm one
        if ctx.invoked_subcommand is None:
            everything()

    @app.command("all")
    def everything(
        quick: Quick = False,
        only: Only = None,
        shape: ShapeName = None,
        seed: Seed = 0,
        output: OutputFolder = Path(folder),
    ) -> None:
        """Everything, one after the other, on one page with charts. A failed benchmark is shown; the rest goes on."""
        measure_page(benchmarks(), quick=quick, only=only or (), shape=shape, seed=seed, output=output)

    return app


def write_report(report: Report, json_path: Path | None, markdown: Path | None) -> None:
    """Show `report` and write it to the files that were named."""
    from rich.text import Text

    report_writer(json_path, markdown)(report)
    show(Text(report.to_markdown()))


def report_writer(json_path: Path | None, markdown: Path | None) -> Callable[[Report], None]:
    """A function that writes a report, complete or partial, to the files that were named."""

    def write(report: Report) -> None:
        from ace._util.files import replace_file

        if json_path is not None:
            replace_file(json_path, json.dumps(report.to_json(), indent=2) + "\n")
        if markdown is not None:
            replace_file(markdown, report.to_markdown())

    return write


def measure_page(
    benchmarks: Sequence[Benchmark], *, quick: bool, only: Sequence[str], shape: str | None, seed: int, output: Path
) -> None:
    """Run `benchmarks` one after the other and write one page with charts. A failed one is shown; the rest goes on."""
    from rich.text import Text

    from ace._util.files import replace_file
    from ace.bench import Part, measure_all
    from ace.bench.hardware.measured_machine import Machine
    from ace.errors import ConfigError
    from ace.reporting.pages.benchmark_pages import benchmarks_html, benchmarks_markdown

    names = [benchmark.name for benchmark in benchmarks]
    for name in only:
        if name not in names:
            raise ConfigError.at("--only", name, ", ".join(names))
    selected = [benchmark for benchmark in benchmarks if not only or benchmark.name in only]
    machine, parts = Machine.here(), list[Part]()
    message_console().print(Text(f"measuring {', '.join(b.name for b in selected)}"), soft_wrap=True)
    for part in measure_all(selected, quick=quick, seed=seed, shape=shape):
        parts.append(part)
        outcome = "failed" if part.report is None else "done"
        message_console().print(Text(f"{part.benchmark.name}: {outcome} in {part.seconds:.0f} s"), soft_wrap=True)
        if part.report is not None:
            replace_file(output / f"{part.benchmark.name}.json", json.dumps(part.report.to_json(), indent=2) + "\n")
        replace_file(output / "index.md", benchmarks_markdown(parts, machine))
        replace_file(output / "index.html", benchmarks_html(parts, machine))
    show(Text(benchmarks_markdown(parts, machine)))
    if any(part.report is None for part in parts):
        raise typer.Exit(FAILED_SAMPLES)
