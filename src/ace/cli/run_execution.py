"""Execution of a run by a command: progress, summary on stdout and in a file, exit code."""

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
    from ace.reporting.run_progress.progress import ProgressMode, View
    from ace.store.records import Run


def execute_run(
    ctx: typer.Context,
    settings: RunSettings,
    json_path: Path | None,
    *,
    resume: str | None = None,
    retry_failed: bool = False,
    view: View | None = None,
    progress: ProgressMode = "auto",
) -> RunSummary:
    """Run `settings` with progress on stderr, or whatever `view` shows, write the summary to `json_path` and print it.

    Where a provider ends the run, its error is what `json_path` holds. Live backends in `ctx.obj` are used instead of
    the settings' models: programs and tests that embed `ace` pass them.
    """
    import asyncio

    from ace._util.files import replace_file, replaceable
    from ace.engine import run
    from ace.errors import InferenceError
    from ace.reporting.run_progress.progress import progress_view
    from ace.reporting.summary_tables import summary_view

    if json_path is not None:
        replaceable(json_path)
    backends: Backends | None = ctx.obj

    def write(result: object) -> None:
        if json_path is not None:
            replace_file(json_path, json.dumps(result, indent=2, ensure_ascii=False) + "\n")

    try:
        with view or progress_view(message_console(), progress) as listener:
            running = run(settings, listener=listener, resume=resume, retry_failed=retry_failed, backends=backends)
            summary = asyncio.run(running)
    except InferenceError as error:
        write({"status": "failed", "reason": f"{type(error).__name__}: {error.message}", "hint": error.hint})
        raise
    write(summary.to_json())
    show(summary_view(summary))
    return summary


def finish(summary: RunSummary) -> None:
    """Leave with 5 where the budget ended the run, with 4 where samples failed."""
    if summary.status == "budget":
        raise typer.Exit(BUDGET_REACHED)
    if summary.failed_samples:
        raise typer.Exit(FAILED_SAMPLES)


def stored_settings(stored: Run, store: str) -> RunSettings:
    """Read the settings of a stored run. Its store's URL has no password there, so that `store` takes its place.

    StoreVersionError for a key that another version of ace has recorded.
    """
    from ace.config import settings_from
    from ace.errors import ConfigError, StoreVersionError

    try:
        return settings_from({**stored.settings, "store": store})
    except ConfigError as error:
        raise StoreVersionError(
            f"run {stored.id} was recorded with settings of ace {stored.ace_version}: {error.message}",
            hint="use that version of ace, or start a new run",
        ) from error
