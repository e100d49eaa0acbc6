"""`ace eval-files`: a frozen playbook on Parquet files of any size, on a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ace.cli.options import Overrides
from ace.cli.terminal import FAILED_SAMPLES, message_console, show


def eval_files(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML config.", show_default=False)],
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Parquet files.", exists=True, dir_okay=False, show_default=False),
    ],
    playbook: Annotated[
        Path, typer.Option("--playbook", help="The playbook, a file.", exists=True, dir_okay=False, show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", help="The folder for the answers.", file_okay=False, show_default=False)
    ],
    engines: Annotated[int, typer.Option(min=1, help="How many engines answer side by side.")] = 1,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster: auto, HOST:PORT or ray://HOST:PORT.", show_default="this machine")
    ] = None,
    cpus: Annotated[float, typer.Option(min=1, help="Cores of an engine.")] = 1.0,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of an engine.")] = 0.0,
    block_rows: Annotated[int, typer.Option(min=1, help="Rows that are answered and written as one file.")] = 1024,
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
) -> None:
    """Answer and grade every row of Parquet files with a playbook. Repeated after an interruption, it goes on."""
    from pydantic import ValidationError
    from rich.text import Text

    from ace.config import RaySettings, load_settings
    from ace.errors import ConfigError
    from ace.experiments.parquet_evaluation import EngineActors, evaluate_parquet
    from ace.playbook import read_playbook
    from ace.reporting.text import percent

    settings = load_settings(config, overrides)
    try:
        ray = RaySettings(address=address, cpus=cpus)
    except ValidationError as error:
        raise ConfigError.at("--address", address, "auto, HOST:PORT or ray://HOST:PORT") from error
    console = message_console()

    def progress(done: int, blocks: int) -> None:
        console.print(Text(f"{done} of {blocks} blocks answered"))

    total = evaluate_parquet(
        settings,
        read_playbook(playbook),
        inputs,
        output,
        block_rows=block_rows,
        actors=EngineActors(ray, engines, gpus),
        progress=progress,
    )
    show(
        Text(
            f"{total.samples} samples, {percent(total.accuracy)} right, {total.failed} failed, "
            f"{total.blocks} blocks of which {total.reused} were answered before: {output}"
        )
    )
    if total.failed:
        raise typer.Exit(FAILED_SAMPLES)
