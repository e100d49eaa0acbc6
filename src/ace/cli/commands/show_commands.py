"""`ace runs`, `ace show`: the runs of a store."""

from __future__ import annotations

from typing import Annotated

import typer

from ace.cli.options import DEFAULT_STORE, PrintJson, RunName, Store
from ace.cli.terminal import message_console, print_json, show


def runs(
    store: Store = DEFAULT_STORE,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest runs to list.")] = 20,
    as_json: PrintJson = False,
) -> None:
    """List the runs, newest first."""
    from rich.text import Text

    from ace.reporting.run_tables import runs_table
    from ace.store import RunStore

    with RunStore.open(store, create=False) as opened:
        listed = opened.list_runs(limit)
    if as_json:
        from ace.reporting.json_output import runs_json

        print_json(runs_json(listed))
        return
    if not listed:
        message_console().print(Text("no runs yet; start one with: ace quickstart"))
        return
    show(runs_table(listed))


def show_run(run: RunName = "latest", store: Store = DEFAULT_STORE, as_json: PrintJson = False) -> None:
    """Show one run: its evaluations, its batches, what it used."""
    from ace.reporting.run_tables import run_view
    from ace.store import RunStore

    with RunStore.open(store, create=False) as opened:
        stored = opened.run(opened.resolve(run))
        if as_json:
            from ace.reporting.json_output import run_json

            print_json(run_json(opened, stored))
        else:
            show(run_view(opened, stored))
