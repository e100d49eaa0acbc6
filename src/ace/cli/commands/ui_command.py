"""`ace ui`: the dashboard in a browser."""

from __future__ import annotations

import contextlib
import getpass
import secrets
import socket
from typing import Annotated

import typer

from ace.cli.options import DEFAULT_STORE, Store
from ace.cli.terminal import message_console

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def ui(
    store: Store = DEFAULT_STORE,
    host: Annotated[
        str, typer.Option(help="The address to listen on. Others than 127.0.0.1 need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8450,
) -> None:
    """Show runs, playbooks and comparisons in a browser, live. Pause or stop runs, and edit bullets."""
    from rich.text import Text

    from ace._util.install_commands import install_command
    from ace.errors import ProviderMissingError

    try:
        import uvicorn

        from ace.dashboard import create_app
    except ImportError as error:
        command = install_command("ui")
        raise ProviderMissingError(
            f"the dashboard needs the package {error.name!r}, which is not installed",
            hint=command,
            provider="ui",
            package=error.name or "fastapi",
            command=command,
        ) from error

    token = None if host in LOOPBACK else secrets.token_urlsafe(24)
    app = create_app(store, token=token, author=_user() if token is None else "")
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/" + (f"?token={token}" if token else "")
    message_console().print(Text(f"dashboard: {address} (Ctrl-C ends it)"), soft_wrap=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """Open a listening socket. ConfigError where another program has the port, or the address is not this machine's."""
    from ace.errors import ConfigError

    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        allowed = f"a free port of {host} ({error.strerror}), or 0 for any that is free"
        raise ConfigError.at("--port", port, allowed) from error


def _user() -> str:
    """The name that this user has on this machine, empty where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
