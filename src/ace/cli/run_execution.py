"""What all commands that run something share: run with progress, print the summary, write it, choose the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ace.cli.terminal import BUDGET_REACHED, FAILED_SAMPLES, message_console, show

if TYPE_CHECKING:
    from ace.config import RunSettings
    from ace.engine import RunSummary
    from ace.inference import Backends


def work(ctx: typer.Context, settings: RunSettings, json_path: Path | None, *, resume: str | None = None) -> RunSummary:
    """Run `settings` with progress on stderr, write the summary to `json_path` and print it.

    Live backends in `ctx.obj` are used instead of the settings' models: programs and tests that embed `ace` pass them.
    """
    import asyncio

    from ace._util.files import replace_file, replaceable
    from ace.engine import run
    from ace.reporting.progress import progress_view
    from ace.reporting.summary_tables import summary_view

    if json_path is not None:
        replaceable(json_path)
    backends: Backends | None = ctx.obj
    with progress_view(message_console()) as view:
        summary = asyncio.run(run(settings, listener=view, resume=resume, backends=backends))
    if json_path is not None:
        replace_file(json_path, json.dumps(summary.to_json(), indent=2, ensure_ascii=False) + "\n")
    show(summary_view(summary.to_json()))
    return summary


def finish(summary: RunSummary) -> None:
    """Leave with 5 where the budget ended the run, with 4 where samples failed."""
    if summary.status == "budget":
        raise typer.Exit(BUDGET_REACHED)
    if summary.failed_samples:
        raise typer.Exit(FAILED_SAMPLES)


def stored_settings(stored: object, store: str) -> RunSettings:
    """Settings as the store keeps them. It keeps its own URL without the password: the one given now is put in."""
    from ace.config import settings_from

    assert isinstance(stored, dict)
    return settings_from({**stored, "store": store})
