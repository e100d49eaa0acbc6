"""`ace mcp`: a run's playbook for agents, over the Model Context Protocol."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from ace.cli.commands.ui_command import LOOPBACK
from ace.cli.options import DEFAULT_STORE, RunName, Store
from ace.cli.terminal import message_console


def mcp(
    run: RunName,
    store: Store = DEFAULT_STORE,
    http: Annotated[bool, typer.Option("--http", help="Listen for streamable HTTP, not on stdin and stdout.")] = False,
    host: Annotated[str, typer.Option(help="With --http: 127.0.0.1, localhost or ::1.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="With --http: the port to listen on.")] = 8470,
    learn_config: Annotated[
        Path | None,
        typer.Option(
            "--learn",
            metavar="CONFIG",
            exists=True,
            dir_okay=False,
            help="Give agents a tool that learns from their reports, with the models of this config.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve the run's playbook to agents, and store what they report about their answers."""
    from rich.text import Text

    from ace._util.extras import missing_package
    from ace._util.install_commands import install_command
    from ace.errors import ConfigError

    if http and host not in LOOPBACK:
        hint = "it asks nobody for a key: put a proxy that does in front of it"
        raise ConfigError.at("--host", host, ", ".join(LOOPBACK), hint=hint)
    try:
        from ace.integrations.mcp_server import PlaybookServer
    except ImportError as error:
        package = str(error.name)
        raise missing_package("ace mcp needs", package, provider="mcp", command=install_command("mcp")) from error

    if learn_config is not None:
        from ace.config import load_settings

        load_settings(learn_config, [f"store={store}"])
    with contextlib.closing(PlaybookServer(store, run, learn_config=learn_config)) as playbook:
        server = playbook.build()
        if http:
            address = f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp"
            message_console().print(Text(f"playbook for agents: {address} (Ctrl-C ends it)"), soft_wrap=True)
            server.run("streamable-http", host=host, port=port)
        else:
            server.run()
