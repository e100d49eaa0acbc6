"""Work of `ace serve-engine`: serve until it is stopped, list the warm engines, and end them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Sequence

from ace.config import ModelSettings
from ace.errors import ConfigError, ProviderStartError
from ace.inference.backend import Backend
from ace.inference.engine_identity import engine_digest
from ace.inference.provider_choice import resolve_auto
from ace.inference.serving.remote.wire_protocol import Handshake, Stop, WireError, pack
from ace.inference.serving.warm.discovery import handshake
from ace.inference.serving.warm.socket_paths import sockets
from ace.inference.serving.warm.warm_server import serve_engines, wait_until_free

END_S = 60.0
"""How long `stop_all` waits for a server to free its engines."""


async def serve_until_stopped(
    models: Sequence[ModelSettings], create: Callable[[ModelSettings], Backend], ready: Callable[[Handshake], None]
) -> None:
    """Keep the engines of `models` warm until SIGTERM, Ctrl-C or `stop_all`. Errors are those of `create`."""
    if not hasattr(socket, "AF_UNIX"):
        raise ProviderStartError("warm engines need Unix sockets, which this system does not have")
    models_by_digest: dict[str, tuple[ModelSettings, str]] = {}
    for settings in models:
        provider = resolve_auto().provider if settings.provider == "auto" else settings.provider
        if provider not in ("vllm", "huggingface"):
            raise ConfigError.at("provider", provider, "auto, vllm, huggingface", hint="only engines can be kept warm")
        models_by_digest.setdefault(engine_digest(settings, provider), (settings, provider))
    stopping = asyncio.Event()

    def start(settings: ModelSettings) -> Backend:
        return create(settings.model_copy(update={"warm": False}))

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        await serve_engines(list(models_by_digest.values()), start, ready, stopping)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def survey() -> list[Handshake]:
    """The engines that are warm and answer, of this version of ace. Sockets that a killed server left are passed by."""
    engines = []
    for place in sockets():
        with contextlib.suppress(OSError, WireError):
            connection, hello = handshake(place)
            connection.close()
            engines.append(hello)
    return engines


def stop_all() -> int:
    """End every server that answers, wait until its engines are freed, and say how many engines that were."""
    ending = []
    for place in sockets():
        with contextlib.suppress(OSError, WireError):
            connection, _ = handshake(place)
            ending.append((place, connection))
    for _, connection in ending:
        with contextlib.closing(connection), contextlib.suppress(OSError):  # of several engines the first ends all
            connection.sendall(pack(Stop()))
    for place, _ in ending:
        wait_until_free(place, END_S)
    return len(ending)
