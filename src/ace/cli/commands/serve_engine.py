"""`ace serve-engine`: load an engine once, for all runs with the same settings that follow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.options import Overrides
from ace.cli.terminal import message_console, show

if TYPE_CHECKING:
    from ace.config import ModelSettings, RunSettings
    from ace.inference.serving.remote.wire_protocol import Handshake


def serve_engine(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="[CONFIG]", help="The run's YAML config; else ace quickstart's.", show_default=False),
    ] = None,
    model: Annotated[
        list[str],
        typer.Option(
            "--model", metavar="NAME", help="Only this one of the config's models; may be repeated.", show_default=False
        ),
    ] = [],  # noqa: B006 - Typer makes a new list for each call
    overrides: Overrides = [],  # noqa: B006
    status: Annotated[bool, typer.Option("--status", help="List the engines that are warm, and leave.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the engines that are warm, and leave.")] = False,
) -> None:
    """Keep a config's engines warm until Ctrl-C: runs with the same settings use them instead of starting their own."""
    from rich.text import Text

    from ace.inference.serving.warm.engine_control import stop_all, survey
    from ace.reporting.engine_tables import engines_view

    if stop:
        show(Text(f"engines ended: {stop_all()}"))
    elif status:
        show(engines_view(survey()))
    else:
        _serve(_models(_settings(config, overrides), model))


def _settings(config: Path | None, overrides: list[str]) -> RunSettings:
    from importlib.resources import as_file, files

    from ace.config import load_settings

    if config is not None:
        return load_settings(config, overrides)
    with as_file(files("ace.cli") / "quickstart.yaml") as path:
        return load_settings(path, overrides)


def _models(settings: RunSettings, names: Sequence[str]) -> list[ModelSettings]:
    """Select the models `names`, or those of all roles, each once."""
    from ace.errors import ConfigError
    from ace.types import ROLES

    for name in names:
        if name not in settings.models:
            raise ConfigError.at("--model", name, f"a key of models: {', '.join(settings.models)}")
    chosen = names or [settings.roles.of(role).model for role in ROLES]
    return [settings.models[name] for name in dict.fromkeys(chosen)]


def _serve(models: Sequence[ModelSettings]) -> None:
    import asyncio

    from rich.text import Text

    from ace.inference import create_backend
    from ace.inference.serving.warm.engine_control import serve_until_stopped
    from ace.reporting.text import seconds, visible

    console = message_console()

    def ready(hello: Handshake) -> None:
        info = hello.info
        line = f"engine: {info.provider} with {info.model} on {info.device}, started in {seconds(info.start_s)}: warm"
        console.print(Text(visible(line)), soft_wrap=True)

    asyncio.run(serve_until_stopped(models, create_backend, ready))
