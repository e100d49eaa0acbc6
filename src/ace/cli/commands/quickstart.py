"""`ace quickstart`: see the loop work on this machine, without a configuration or a GPU."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ace.cli.options import DEFAULT_STORE, JsonPath, Overrides, Store
from ace.cli.run_execution import execute_run, finish
from ace.cli.terminal import message_console, show

if TYPE_CHECKING:
    from ace.config import RunSettings
    from ace.reporting.run_progress.progress import View

MICRO_WORLD = """\
ACE on the micro world: invented words with hidden codes, which only a playbook can tell; it starts out empty.
The shipped micro model (a few million parameters) plays all three roles: a demonstrator, not a product."""

ROUTING = """\
ACE on support tickets: {model} sends them to the desks of an invented company, whose rules no model can know.
It plays all three roles and learns them from right and wrong alone; the playbook starts out empty."""

SEED = "Decides the world or the rules, the splits and the order. The micro models were trained on seeds above these."


def quickstart(
    ctx: typer.Context,
    provider: Annotated[str, typer.Option(help="auto, vllm, huggingface or openai.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, max=999_999, help=SEED)] = 0,
    model: Annotated[str, typer.Option(help="The model: micro-target, a folder or a hub id.")] = "micro-target",
    level: Annotated[
        Literal["easy", "medium", "hard"], typer.Option(help="How hard the tickets of a real model are.")
    ] = "easy",
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
    store: Store = DEFAULT_STORE,
    json_path: JsonPath = None,
) -> None:
    """Run ACE on the micro world with the shipped micro model, or on support tickets with a model of yours."""
    from rich.text import Text

    from ace.inference.model_files.packaged import PACKAGED

    view = None
    if model in PACKAGED:
        settings = quickstart_settings(provider=provider, seed=seed, model=model, store=store, overrides=overrides)
        message_console().print(Text(MICRO_WORLD), soft_wrap=True)
    else:
        settings = routing_settings(
            provider=provider, seed=seed, model=model, level=level, store=store, overrides=overrides
        )
        message_console().print(Text(ROUTING.format(model=model)), soft_wrap=True)
        view = _learning_view(settings)
    summary = execute_run(ctx, settings, json_path, view=view)
    elsewhere = "" if store == DEFAULT_STORE else f" --store {store}"
    show(
        Text(),
        Text(f"what happened, batch by batch:  ace show {summary.run}{elsewhere}"),
        Text(f"what was learned:               ace playbook show {summary.run}{elsewhere}"),
        Text(f"all of it in the browser:       ace ui{elsewhere}"),
    )
    finish(summary)


def quickstart_settings(
    *, provider: str, seed: int, model: str, store: str, overrides: Sequence[str] = ()
) -> RunSettings:
    """The packaged config of the micro world with these values and `overrides` set."""
    values = {"models.main.provider": provider, "models.main.model": model, "seed": seed, "store": store}
    return _load("quickstart.yaml", {**values, "task.micro.seed": seed}, overrides)


def routing_settings(
    *, provider: str, seed: int, model: str, level: str, store: str, overrides: Sequence[str] = ()
) -> RunSettings:
    """The packaged config of the support tickets with these values and `overrides` set."""
    values = {"models.main.provider": provider, "models.main.model": model, "seed": seed, "store": store}
    return _load(
        "quickstart_routing.yaml", {**values, "task.routing.seed": seed, "task.routing.level": level}, overrides
    )


def _load(name: str, values: Mapping[str, object], overrides: Sequence[str]) -> RunSettings:
    from ace.config import load_settings

    with as_file(files("ace.cli") / name) as path:
        return load_settings(path, [*(f"{key}={json.dumps(value)}" for key, value in values.items()), *overrides])


def _learning_view(settings: RunSettings) -> View:
    """Progress with every question, answer and new bullet. Says first what was chosen."""
    from rich.text import Text

    from ace.prompts import load_pack
    from ace.reporting.run_progress.learning_view import LearningView
    from ace.tasks import load_task

    splits = load_task(settings.task).splits
    pack = load_pack(settings.prompts)
    chosen = (
        f"{len(splits.train)} tickets to learn from in batches of {settings.adaptation.batch_size}, {len(splits.test)} "
        f"others to be judged by; prompts: {pack.name}, version {pack.version}"
    )
    message_console().print(Text(chosen), soft_wrap=True)
    samples = {sample.id: sample for sample in (*splits.train, *splits.validation, *splits.test)}
    return LearningView(message_console(), settings.store, samples)
