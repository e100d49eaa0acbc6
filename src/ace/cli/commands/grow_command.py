"""`ace grow`: the training samples in shards that are adapted side by side and merged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.options import JsonPath, Overrides
from ace.cli.terminal import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ace.experiments import ShardedGrowth


def grow(
    ctx: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's YAML config.", show_default=False)],
    shards: Annotated[
        list[int],
        typer.Option("--shards", min=1, help="How many shards; may be repeated, to compare.", show_default=False),
    ],
    merge_every: Annotated[int, typer.Option(min=1, help="How many batches each shard works between two merges.")] = 1,
    output: Annotated[
        Path | None,
        typer.Option("--output", dir_okay=False, help="Write the last playbook to this file.", show_default=False),
    ] = None,
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
    json_path: JsonPath = None,
) -> None:
    """Grow a playbook in shards from one start, merged every few batches. What the store has is not run again."""
    import asyncio
    import json

    from ace._util.files import replace_file, replaceable
    from ace.config import load_settings
    from ace.experiments import grow_in_shards
    from ace.playbook import write_playbook

    for path in (json_path, output):
        if path is not None:
            replaceable(path)
    settings = load_settings(config, overrides)
    growths = asyncio.run(grow_in_shards(settings, shards, merge_every=merge_every, backends=ctx.obj))
    if json_path is not None:
        replace_file(json_path, json.dumps([growth.to_json() for growth in growths], indent=2) + "\n")
    if output is not None:
        write_playbook(growths[-1].playbook, output)
    show(_table(growths))


def _table(growths: Sequence[ShardedGrowth]) -> Table:
    from rich.table import Table

    from ace.reporting.experiment_tables import interval_text
    from ace.reporting.text import cell, percent, seconds

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("shards", "rounds", "accuracy", "95% interval", "bullets", "duplicates", "conflicts", "time"):
        table.add_column(name, justify="right")
    for growth in growths:
        row = (
            str(growth.shards),
            str(len(growth.rounds)),
            percent(growth.accuracy),
            interval_text(growth.interval),
            str(len(growth.playbook)),
            str(sum(each.duplicates for each in growth.rounds)),
            str(sum(each.conflicts for each in growth.rounds)),
            seconds(growth.seconds),
        )
        table.add_row(*map(cell, row))
    return table
