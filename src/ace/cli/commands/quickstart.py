"""`ace quickstart`: see the loop work on this machine, without a configuration, a GPU or a download."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.options import DEFAULT_STORE, JsonPath, Store
from ace.cli.run_execution import finish, work
from ace.cli.terminal import message_console, show

if TYPE_CHECKING:
    from ace.config import RunSettings

WHAT_THIS_IS = """\
ACE on the micro world: invented words with hidden codes, which only a playbook can tell; it starts out empty.
The shipped micro model (a few million parameters) plays all three roles: a demonstrator, not a product."""

SEED = "Decides the invented world, the splits and the order. The micro models were trained on seeds above these."


def quickstart(
    ctx: typer.Context,
    provider: Annotated[str, typer.Option(help="auto, vllm, huggingface or openai.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, max=999_999, help=SEED)] = 0,
    model: Annotated[str, typer.Option(help="The model: micro-target, a folder or a hub id.")] = "micro-target",
    store: Store = DEFAULT_STORE,
    json_path: JsonPath = None,
) -> None:
    """Run ACE on the micro world with the shipped micro model."""
    from rich.text import Text

    settings = quickstart_settings(provider=provider, seed=seed, model=model, store=store)
    message_console().print(Text(WHAT_THIS_IS), soft_wrap=True)
    summary = work(ctx, settings, json_path)
    elsewhere = "" if store == DEFAULT_STORE else f" --store {store}"
    show(
        Text(),
        Text(f"what happened, batch by batch:  ace show {summary.run}{elsewhere}"),
        Text(f"what was learned:               ace playbook show {summary.run}{elsewhere}"),
    )
    finish(summary)


def quickstart_settings(*, provider: str, seed: int, model: str, store: str) -> RunSettings:
    """The packaged config with these values set."""
    from ace.config import load_settings

    values = {
        "models.main.provider": provider,
        "models.main.model": model,
        "seed": seed,
        "task.micro.seed": seed,
        "store": store,
    }
    with as_file(files("ace.cli") / "quickstart.yaml") as path:
        return load_settings(path, [f"{key}={json.dumps(value)}" for key, value in values.items()])
