"""Program of one replica's process: the engine that the first frame asks for, until the connection ends."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
import threading
import time
from typing import Protocol

from ace.config import ModelSettings
from ace.errors import AceError
from ace.inference.backend import Backend
from ace.inference.providers.provider_loader import load_engine
from ace.inference.serving.remote.connection_server import EngineServer
from ace.inference.serving.remote.engine_identity import Identity
from ace.inference.serving.remote.wire_protocol import Failure, Start, WireError, from_client, pack, read_frame

GRACE_S = 20.0
"""How long freeing the engine may take after the one who started us has gone."""


class LoadEngine(Protocol):
    """Starts the engine of one replica; an AceError says why there is none."""

    def __call__(self, settings: ModelSettings, provider: str, reason: str, *, share: float) -> Backend: ...


def main(descriptor: int, load: LoadEngine = load_engine) -> None:
    """Serve the socket `descriptor` with the engine of `load`. What keeps that from starting is said there."""
    with socket.socket(fileno=descriptor) as connection:
        threading.Thread(target=_follow, args=(descriptor,), name="ace-follow", daemon=True).start()
        start = from_client(read_frame(connection))
        if not isinstance(start, Start):
            raise WireError(f"'start' was expected, found '{start.kind}'")
        try:
            backend = load(start.settings, start.provider, start.reason, share=start.share)
        except AceError as error:
            connection.sendall(pack(Failure.of(0, error)))
            return
        asyncio.run(_serve(connection, backend, start))


async def _serve(connection: socket.socket, backend: Backend, start: Start) -> None:
    identity = Identity.of(start.settings, start.provider)
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    await EngineServer(backend, identity, _left_to_the_other_end).serve(reader, writer)
    if start.settings.gpus_per_engine == 1:
        os._exit(0)  # frees it all at once; in good order vLLM takes seconds
    await backend.close()  # an engine on several GPUs has processes of its own to end


def _left_to_the_other_end() -> None:
    """A dead engine is replaced with its process by the one who started it, after all who wait have heard of it."""


def _follow(descriptor: int) -> None:
    """End this process some time after the other one, also where it hangs: in a step, in a start, in a compiler."""
    hang_up = select.poll()
    hang_up.register(descriptor, 0)
    hang_up.poll()
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
