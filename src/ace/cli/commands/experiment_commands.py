"""`ace compare`, `ace ablate`, `ace baselines`: differences between runs with their intervals and p values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ace.cli.options import DEFAULT_STORE, JsonPath, Overrides, Store
from ace.cli.terminal import FAILED_SAMPLES, message_console, show

if TYPE_CHECKING:
    from ace.config import RunSettings
    from ace.engine import Listener
    from ace.experiments import CompletedGridRun, GridRun, RunElsewhere

Seeds = Annotated[int, typer.Option("--seeds", min=1, help="How many seeds each row runs with, from the config's on.")]
MarkdownPath = Annotated[
    Path | None,
    typer.Option("--markdown", dir_okay=False, help="Also write the table to this file.", show_default=False),
]
PlotPath = Annotated[
    Path | None, typer.Option("--plot", dir_okay=False, help="Also write a plot, an HTML page.", show_default=False)
]
On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="here|ray|ADDRESS",
        help="Run the rows here one after the other, or as tasks on a Ray cluster: one of this machine (ray), or the "
        "one at auto, HOST:PORT or ray://HOST:PORT.",
    ),
]
AtOnce = Annotated[int, typer.Option("--at-once", min=1, help="On Ray: how many runs at a time.")]
Gpus = Annotated[float, typer.Option("--gpus", min=0, help="On Ray: GPUs of each run, for engines of its own.")]
Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's YAML config.", show_default=False)]


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="The first is what the others are compared to; alone, before and after are.",
            show_default=False,
        ),
    ],
    evaluation: Annotated[str, typer.Option(help="Which evaluation of each run: before, after, validation.")] = "after",
    measure: Annotated[
        Literal["right", "score"], typer.Option(help="Compare the share of right answers, or the mean score.")
    ] = "right",
    points: Annotated[
        float, typer.Option(min=0.01, max=100, help="The difference to say the needed number of samples for.")
    ] = 5.0,
    samples: Annotated[int, typer.Option(min=0, help="How many differing samples of each side to show.")] = 10,
    store: Store = DEFAULT_STORE,
    json_path: JsonPath = None,
) -> None:
    """Compare runs on the same samples: difference, interval, p, and what each got right that the other missed."""
    from ace._util.files import replaceable
    from ace.experiments import compare_evaluations
    from ace.experiments.outcomes import evaluated
    from ace.reporting.experiment_tables import comparisons_view
    from ace.store import RunStore

    if json_path is not None:
        replaceable(json_path)
    with RunStore.open(store, create=False) as opened:
        ids = [opened.resolve(run) for run in runs]
        if len(ids) == 1:
            sides = [evaluated(opened, ids[0], "before"), evaluated(opened, ids[0], evaluation)]
        else:
            sides = [evaluated(opened, run, evaluation) for run in ids]
    comparisons = compare_evaluations(sides[0], sides[1:], measure=measure, target=points / 100)
    _write(json_path, [one.to_json() for one in comparisons])
    show(comparisons_view(comparisons, most=samples))


def ablate(
    ctx: typer.Context,
    config: Config,
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary",
            metavar="KEY=VALUE,VALUE",
            help="A setting and the values to try; may be repeated.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 - Typer makes a new list for each call
    seeds: Seeds = 1,
    on: On = "here",
    at_once: AtOnce = 2,
    gpus: Gpus = 0.0,
    overrides: Overrides = [],  # noqa: B006
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
    plot: PlotPath = None,
) -> None:
    """Run a grid of settings, each with several seeds. Finished cells are not run again."""
    from ace.config import load_settings
    from ace.experiments import grid, parse_vary

    base = load_settings(config, overrides)
    rows = dict(parse_vary(text, base) for text in vary)
    output = _Output(json_path, markdown, plot)
    _experiment(ctx, grid(base, rows, seeds=seeds), output, _elsewhere(on, at_once, gpus))


def baselines(
    ctx: typer.Context,
    config: Config,
    seeds: Seeds = 1,
    on: On = "here",
    at_once: AtOnce = 2,
    gpus: Gpus = 0.0,
    overrides: Overrides = [],  # noqa: B006
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
    plot: PlotPath = None,
) -> None:
    """ACE as configured against ACE one sample at a time, a full rewrite, examples in the prompt, and no playbook."""
    from ace.config import load_settings
    from ace.experiments.grid import baseline_runs

    runs = baseline_runs(load_settings(config, overrides), seeds=seeds)
    _experiment(ctx, runs, _Output(json_path, markdown, plot), _elsewhere(on, at_once, gpus))


def run_seeds(
    ctx: typer.Context, settings: RunSettings, seeds: int, json_path: Path | None, *, on: str, at_once: int, gpus: float
) -> None:
    """`ace run --seeds`: the same settings with several seeds."""
    from ace.experiments import grid

    _experiment(ctx, grid(settings, {}, seeds=seeds), _Output(json_path), _elsewhere(on, at_once, gpus))


def _elsewhere(on: str, at_once: int, gpus: float) -> RunElsewhere | None:
    """Where the runs of a grid are executed, None for here. ConfigError for what is no address."""
    from pydantic import ValidationError

    from ace.config import RaySettings
    from ace.errors import ConfigError
    from ace.experiments.grid_tasks import GridTasks

    if on == "here":
        return None
    try:
        ray = RaySettings(address=None if on == "ray" else on)
    except ValidationError as error:
        raise ConfigError.at("--on", on, "here, ray, auto, HOST:PORT or ray://HOST:PORT") from error
    return GridTasks(ray, at_once, gpus).run


@dataclass(frozen=True, slots=True)
class _Output:
    """The files that a table is written to, besides the terminal."""

    json: Path | None
    markdown: Path | None = None
    plot: Path | None = None


def _experiment(ctx: typer.Context, cells: Sequence[GridRun], output: _Output, elsewhere: RunElsewhere | None) -> None:
    import asyncio

    from ace._util.files import replace_file, replaceable
    from ace.experiments import leaderboard, run_grid
    from ace.reporting.experiment_tables import leaderboard_markdown, leaderboard_view
    from ace.reporting.pages.leaderboard_page import leaderboard_html

    for path in (output.json, output.markdown, output.plot):
        if path is not None:
            replaceable(path)
    progress = _Progress(len(cells))
    runs = asyncio.run(
        run_grid(cells, progress.opened, finished=progress.finished, backends=ctx.obj, elsewhere=elsewhere)
    )
    progress.reused(runs)
    table = leaderboard(runs)
    _write(output.json, table.to_json())
    if output.markdown is not None:
        replace_file(output.markdown, leaderboard_markdown(table))
    if output.plot is not None:
        replace_file(output.plot, leaderboard_html(table, cells[0].settings.name))
    show(leaderboard_view(table))
    if any(done.summary.failed_samples for done in runs):
        raise typer.Exit(FAILED_SAMPLES)


class _Progress:
    """Bars for the current run on a terminal, and one line for each finished run everywhere."""

    def __init__(self, cells: int) -> None:
        self._cells = cells

    @contextmanager
    def opened(self, cell: GridRun, number: int) -> Iterator[Listener]:
        from ace.engine.events import null_listener
        from ace.reporting.run_progress.progress import progress_view

        console = message_console()
        with progress_view(console) if console.is_terminal else nullcontext(null_listener) as view:
            yield view

    def finished(self, done: CompletedGridRun, number: int) -> None:
        from rich.text import Text

        from ace.reporting.text import percent, visible

        accuracy = percent(done.summary.accuracy_after)
        line = f"{number + 1}/{self._cells} {done.cell.row} seed {done.cell.seed}: {accuracy}"
        message_console().print(Text(visible(line)), soft_wrap=True)

    def reused(self, runs: Sequence[CompletedGridRun]) -> None:
        from rich.text import Text

        count = sum(run.reused for run in runs)
        if count:
            message_console().print(Text(f"{count} of {self._cells} were in the store already"), soft_wrap=True)


def _write(path: Path | None, value: Mapping[str, Any] | Sequence[Any]) -> None:
    from ace._util.files import replace_file

    if path is not None:
        replace_file(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
