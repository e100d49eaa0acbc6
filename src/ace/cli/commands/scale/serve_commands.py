"""Servers of a run's playbook, and what learns from their clients: `ace serve`, `ace learn`, `ace mcp`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.commands.ui_command import LOOPBACK
from ace.cli.options import DEFAULT_STORE, Overrides, RunName, Store
from ace.cli.run_execution import stored_settings
from ace.cli.terminal import message_console

if TYPE_CHECKING:
    from ace.config import RunSettings
    from ace.inference import Backend
    from ace.server import Server, Upstream
    from ace.store import Run

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="CONFIG",
        dir_okay=False,
        help="Take models and roles from this config, not from the run.",
        show_default=False,
    ),
]


def serve(
    ctx: typer.Context,
    run: RunName,
    store: Store = DEFAULT_STORE,
    config: Config = None,
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
    host: Annotated[
        str, typer.Option(help="The address to listen on. Others than 127.0.0.1 need --keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8460,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="FILE", help="YAML file of the clients' keys and limits.", show_default=False),
    ] = None,
    stable: Annotated[
        str | None,
        typer.Option("--stable", metavar="VERSION", help="A version, latest or best.", show_default="the newest"),
    ] = None,
    canary: Annotated[
        float, typer.Option("--canary", metavar="SHARE", min=0.0, max=1.0, help="Share that gets the newest version.")
    ] = 0.0,
    learn_config: Annotated[
        Path | None,
        typer.Option(
            "--learn",
            metavar="CONFIG",
            dir_okay=False,
            help="Learn from feedback with this config, in a process beside the server.",
            show_default=False,
        ),
    ] = None,
    drain: Annotated[float, typer.Option(min=0.0, help="Seconds that answers under way have after SIGTERM.")] = 60.0,
    grace: Annotated[float, typer.Option(min=0.0, help="Seconds between SIGTERM and the end of new requests.")] = 0.0,
) -> None:
    """Serve OpenAI's API with the run's playbook in front of every request, until SIGTERM or Ctrl-C."""
    import asyncio

    from ace._util.install_commands import install_command
    from ace.errors import ConfigError

    try:
        import uvloop

        from ace.server import DrainingServer, PlaybookSource, Server, read_keys
    except ImportError as error:
        from ace._util.extras import missing_package

        command = install_command("serve")
        raise missing_package("ace serve needs", str(error.name), provider="serve", command=command) from error
    from ace.store import RunStore

    if host not in LOOPBACK and keys is None:
        raise ConfigError.at("--host", host, f"{', '.join(LOOPBACK)}, without --keys")
    clients = None if keys is None else read_keys(keys)
    opened = RunStore.open(store, create=False)
    identity = opened.resolve(run)
    settings = _settings(opened.run(identity), store, config, overrides)
    if learn_config is not None:
        _settings(opened.run(identity), store, learn_config, [])
    playbooks = PlaybookSource(opened, identity, stable=stable, canary=canary)

    async def work() -> None:
        upstream, backend = _upstream(settings, ctx.obj)
        server = Server(opened, playbooks, upstream, clients)
        learning = None
        if learn_config is not None:
            from ace.server.learner_process import keep_learner

            learning = asyncio.create_task(keep_learner([identity, "--store", store, "--config", str(learn_config)]))
        _announce(f"http://{host}:{port}/v1", server)
        try:
            await DrainingServer(server, host, port, drain_s=drain, grace_s=grace).serve()
        finally:
            if learning is not None:
                learning.cancel()
                await asyncio.gather(learning, return_exceptions=True)
            if backend is not None:
                await backend.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


def learn(
    ctx: typer.Context,
    run: RunName,
    store: Store = DEFAULT_STORE,
    config: Config = None,
    overrides: Overrides = [],  # noqa: B006
    once: Annotated[bool, typer.Option("--once", help="Leave when no feedback is pending.")] = False,
    wait: Annotated[
        float, typer.Option(min=0.0, help="Seconds that feedback waits for a whole batch of adaptation.batch_size.")
    ] = 60.0,
    parent: Annotated[
        int | None, typer.Option(hidden=True, help="Leave when this process is no longer the parent.")
    ] = None,
) -> None:
    """Turn clients' feedback on the run's answers into new playbook versions, until SIGTERM or Ctrl-C."""
    import asyncio
    import os
    import signal

    from rich.text import Text

    from ace.engine.client_feedback import learn_from_feedback
    from ace.reporting.run_progress.progress import progress_view
    from ace.store import RunStore

    with RunStore.open(store, create=False) as opened:
        identity = opened.resolve(run)
        settings = _settings(opened.run(identity), store, config, overrides)

    async def work() -> int:
        with progress_view(message_console()) as listener:
            learning = asyncio.ensure_future(
                learn_from_feedback(settings, identity, once=once, wait_s=wait, listener=listener, backends=ctx.obj)
            )
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, learning.cancel)
            while parent is not None and os.getppid() == parent and not learning.done():
                await asyncio.wait([learning], timeout=2.0)
            if parent is not None:
                learning.cancel()  # the server is gone
            return await learning

    with contextlib.suppress(asyncio.CancelledError):
        learned = asyncio.run(work())
        message_console().print(Text(f"learned from {learned} pieces of feedback"))


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


def _settings(stored: Run, store: str, config: Path | None, overrides: list[str]) -> RunSettings:
    """The settings of `config`, or of the run, with the store that the command names."""
    from ace.config import load_settings

    if config is not None:
        return load_settings(config, [*overrides, f"store={store}"])
    base = stored_settings(stored, store)
    return load_settings(None, overrides, base=base.model_dump(mode="json"))


def _upstream(settings: RunSettings, backends: object) -> tuple[Upstream, Backend | None]:
    """The upstream: the generator's model. A backend that is started here is returned, to be closed."""
    from ace.inference import create_backend
    from ace.server import EndpointUpstream, EngineUpstream

    name = settings.roles.generator.model
    model = settings.models[name]
    if isinstance(backends, dict):
        return EngineUpstream(backends[name]), None
    if model.provider == "openai":
        return EndpointUpstream(model), None
    backend = create_backend(model)
    return EngineUpstream(backend), backend


def _announce(address: str, server: Server) -> None:
    from rich.text import Text

    playbooks = server.playbooks
    text = f"serving ace/{playbooks.run} at {address}, playbook version {playbooks.stable} (Ctrl-C ends it)"
    message_console().print(Text(text), soft_wrap=True)
