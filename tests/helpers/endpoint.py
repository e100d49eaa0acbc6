"""A small OpenAI-compatible endpoint on 127.0.0.1 that answers, streams, refuses and breaks off as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Respond = Callable[["Handler", Body], None]


class Handler(BaseHTTPRequestHandler):
    """Hands every request to the server's `respond`."""

    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.bodies.append(body)
        self.server.keys.append(self.headers.get("authorization", ""))
        self.server.respond(self, body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        """The models, for whoever asks whether the endpoint is there."""
        self.reply({"object": "list", "data": []})

    def fail(self, status: int, message: str = "no", headers: dict[str, str] | None = None) -> None:
        self.reply({"error": {"message": message}}, status, headers)

    def reply(self, body: Body, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(
        self,
        *texts: str,
        finish: str | None = "stop",
        usage: Body | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for text in texts:
            self._event([{"index": 0, "delta": {"content": text}, "finish_reason": None}])
            pause()
        if finish is not None:
            self._event([{"index": 0, "delta": {}, "finish_reason": finish}])
            self._event([], usage)
            self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, choices: list[Body], usage: Body | None = None) -> None:
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": choices}
        self.wfile.write(b"data: " + json.dumps({**chunk, "usage": usage}).encode() + b"\n\n")


class Endpoint(ThreadingHTTPServer):
    """Keeps what it was asked and with which key."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, respond: Respond, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.respond = respond
        self.bodies: list[Body] = []
        self.keys: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def serving(respond: Respond, port: int = 0) -> Iterator[Endpoint]:
    with Endpoint(respond, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
