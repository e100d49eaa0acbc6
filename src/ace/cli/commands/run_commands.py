"""`ace run`, `ace eval`, `ace resume`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.commands.experiment_commands import AtOnce, Gpus, On, Seeds, run_seeds
from ace.cli.options import DEFAULT_STORE, JsonPath, Overrides, ProgressOption, RunName, Store
from ace.cli.run_execution import execute_run, finish, stored_settings
from ace.cli.terminal import message_console

if TYPE_CHECKING:
    from ace.config import RunSettings


def run(
    ctx: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's YAML config.", show_default=False)],
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
    seeds: Seeds = 1,
    on: On = "here",
    at_once: AtOnce = 2,
    gpus: Gpus = 0.0,
    json_path: JsonPath = None,
    progress: ProgressOption = "auto",
) -> None:
    """Adapt a playbook to a task, and evaluate it before and after. With several seeds: one run each, and one table."""
    from ace.config import load_settings
    from ace.errors import ConfigError

    if seeds == 1 and on != "here":
        raise ConfigError.at("--on", on, "here, without --seeds; models.*.ray puts the engines on a cluster")
    settings = load_settings(config, overrides)
    if seeds > 1:
        run_seeds(ctx, settings, seeds, json_path, on=on, at_once=at_once, gpus=gpus)
    else:
        finish(execute_run(ctx, settings, json_path, progress=progress))


def evaluate(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|RUN", help="A YAML config, or a run whose best playbook is evaluated.", show_default=False
        ),
    ],
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
    store: Store = DEFAULT_STORE,
    json_path: JsonPath = None,
    progress: ProgressOption = "auto",
) -> None:
    """Evaluate a playbook on the test split, without adapting it."""
    from ace.config import load_settings

    only = ["mode=evaluate", "evaluation.before=false", "evaluation.after=true"]
    if Path(source).suffix in (".yaml", ".yml") or Path(source).is_file():
        finish(execute_run(ctx, load_settings(source, [*overrides, *only]), json_path, progress=progress))
        return
    with TemporaryDirectory(prefix="ace-eval-") as folder:
        stored, playbook = _of_run(source, store, Path(folder))
        settings = load_settings(
            None, [*overrides, f"playbook.initial={playbook}", *only], base=stored.model_dump(mode="json")
        )
        finish(execute_run(ctx, settings, json_path, progress=progress))


def resume(
    ctx: typer.Context,
    run: RunName,
    more: Annotated[
        list[str], typer.Option("--set", metavar="budget.KEY=VALUE", help="A larger budget; may be repeated.")
    ] = [],  # noqa: B006 - Typer makes a new list for each call
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask the samples again that failed; the rest stays.")
    ] = False,
    store: Store = DEFAULT_STORE,
    json_path: JsonPath = None,
    progress: ProgressOption = "auto",
) -> None:
    """Go on with a run where it stopped: nothing that was answered is asked again."""
    from rich.text import Text

    from ace.store import RunStore

    with RunStore.open(store, create=False) as opened:
        stored_run = opened.run(opened.resolve(run))
        settings = _with_budget(stored_settings(stored_run, store), more)
        failed = opened.failed_samples(stored_run.id)
    if stored_run.status == "done" and not (failed and retry_failed):
        message_console().print(Text(_done(stored_run.id, failed, retry_failed=retry_failed)), soft_wrap=True)
        return
    finish(execute_run(ctx, settings, json_path, resume=stored_run.id, retry_failed=retry_failed, progress=progress))


def _done(run: str, failed: int, *, retry_failed: bool) -> str:
    if retry_failed:
        return f"run {run} is done, and none of its samples failed; see: ace show {run}"
    again = f"; {failed} samples failed, to ask them again: ace resume {run} --retry-failed" if failed else ""
    return f"run {run} is done already; see: ace show {run}{again}"


def _of_run(name: str, store: str, folder: Path) -> tuple[RunSettings, Path]:
    """The settings of a stored run, and its best playbook as a file in `folder`."""
    from ace.playbook import write_playbook
    from ace.store import RunStore

    with RunStore.open(store, create=False) as opened:
        stored_run = opened.run(opened.resolve(name))
        path = folder / f"{stored_run.id}.json"
        write_playbook(opened.playbook(stored_run.id, stored_run.best_version), path)
        return stored_settings(stored_run, store), path


def _with_budget(settings: RunSettings, overrides: list[str]) -> RunSettings:
    """All else decided what the run has done so far, and stays."""
    from ace.config import load_settings
    from ace.errors import ConfigError

    for override in overrides:
        if not override.startswith("budget."):
            raise ConfigError.at("--set", override, "budget.KEY=VALUE; all other settings of a run stay")
    return load_settings(None, overrides, base=settings.model_dump(mode="json"))
