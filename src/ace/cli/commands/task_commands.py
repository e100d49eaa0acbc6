"""`ace task`: a new task of your own, and the preview of a task without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ace.cli.options import Overrides
from ace.cli.terminal import message_console, show

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Begin a task of your own; look at one.")


@app.command("new")
def new_task(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A Python name, such as my_task.", show_default=False)],
    folder: Annotated[Path, typer.Option("--folder", file_okay=False, help="Where the files go.")] = Path(),
) -> None:
    """Write a task with comments, a test of it and a config."""
    from rich.text import Text

    from ace.reporting.text import visible
    from ace.tasks.skeleton import write_skeleton

    for path in write_skeleton(name, folder):
        message_console().print(Text(visible(str(path))), soft_wrap=True)
    message_console().print(Text(f"now: ace task check {visible(str(folder / name))}.yaml"), soft_wrap=True)


@app.command("check")
def check_task(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A run's YAML config.", show_default=False)],
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
    samples: Annotated[int, typer.Option(min=0, help="How many samples to show.")] = 1,
    sample: Annotated[str | None, typer.Option(help="Show the sample of this id instead.", show_default=False)] = None,
) -> None:
    """Load a config's task, and show what each role will see, without a model."""
    import asyncio

    from ace.config import load_settings
    from ace.engine.preview import preview
    from ace.engine.run_inputs import load_inputs
    from ace.errors import DataError
    from ace.reporting.task_tables import task_view

    settings = load_settings(config, overrides)
    inputs = load_inputs(settings)
    splits = inputs.task.splits
    every = [*splits.train, *splits.validation, *splits.test]
    chosen = every[:samples] if sample is None else [each for each in every if each.id == sample]
    if sample is not None and not chosen:
        raise DataError(f"no sample {sample!r} in task '{inputs.task.name}'; its ids look like {every[0].id!r}")
    previews = [asyncio.run(preview(settings, inputs, each)) for each in chosen]
    show(task_view(inputs.task, previews))
