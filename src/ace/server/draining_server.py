"""uvicorn around the application, ending as a load balancer wants it."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType

import uvicorn

from ace.server.api_server import Server, create_app


class DrainingServer(uvicorn.Server):
    """Listens until SIGTERM or SIGINT.

    SIGTERM first turns `/readyz` to 503 for `grace_s` seconds, in which requests are still taken. Then no connection is
    accepted, and answers under way have `drain_s` seconds. A second signal ends it at once.
    """

    def __init__(self, server: Server, host: str, port: int, *, drain_s: float, grace_s: float) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(server),
                host=host,
                port=port,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=max(1, round(drain_s)),
            )
        )
        self._served, self._grace_s = server, grace_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain. The signal is not raised again afterwards, so that the caller can clean up."""
        if self._served.draining:
            self.should_exit = self.force_exit = True
            return
        self._served.draining = True
        wait = self._grace_s if sig == signal.SIGTERM else 0.0
        asyncio.get_running_loop().call_later(wait, self._stop)

    def _stop(self) -> None:
        self.should_exit = True
