"""The web application: OpenAI's chat completions with a playbook in front, and feedback on their answers."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from ace.errors import AceError
from ace.server.chat_request import ChatRequest
from ace.server.client_keys import Client, Clients, KeySettings
from ace.server.exchange_log import ExchangeLog, answer_text
from ace.server.feedback_request import FeedbackRequest
from ace.server.openai_errors import ApiError, api_error
from ace.server.served_playbook import PREFIX, PlaybookSource, ServedVersion
from ace.server.server_metrics import CONTENT_TYPE, ServerMetrics
from ace.server.upstream import Upstream, UpstreamAnswer
from ace.store import Exchange, RunStore

VERSION_HEADER = "x-ace-playbook"
REQUEST_ID_HEADER = "x-request-id"
REFRESH_S = 1.0
MOST_BYTES = 64 << 20
"""The largest body of a request."""
MOST_LISTED = 20
"""Versions in the list of models; older ones can be pinned all the same."""
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


@dataclass(slots=True)
class _RunningRequest:
    """A request under way."""

    request: ChatRequest
    client: Client
    arrived: float
    request_id: str
    served: ServedVersion


@dataclass(slots=True)
class Server:
    """The parts of a server. `keys` None serves whoever asks under a local name."""

    store: RunStore
    playbooks: PlaybookSource
    upstream: Upstream
    keys: Mapping[str, KeySettings] | None = None
    metrics: ServerMetrics = field(default_factory=ServerMetrics)
    draining: bool = False
    clients: Clients = field(init=False)
    log: ExchangeLog = field(init=False)

    def __post_init__(self) -> None:
        self.clients = Clients(self.keys)
        self.log = ExchangeLog(self.store)

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        arrived = time.perf_counter()
        client = self._client(request)
        limits = contextlib.ExitStack()
        try:
            limits.enter_context(client.admitted())
            limits.enter_context(self.metrics.running())
            chat = ChatRequest.parse(await _body(request))
            request_id = f"req-{uuid.uuid4().hex}"
            limits.enter_context(self.log.answering(request_id))
            served, model = await self._route(chat, request.headers.get(VERSION_HEADER), request_id)
            body = chat.with_playbook(served.text, model)
            sent = time.perf_counter()
            self.metrics.sent(sent - arrived)
            answer = await self.upstream.chat(body, request_id)
            limits.callback(answer.done)
            self.metrics.answered(client.name, answer.status, served.name, time.perf_counter() - sent)
        except BaseException as error:
            limits.close()
            if isinstance(error, ApiError | AceError):
                status = (error if isinstance(error, ApiError) else api_error(error)).status
                self.metrics.refused(client.name, status)
            raise
        running = _RunningRequest(chat, client, arrived, request_id, served)
        headers = {**answer.headers, VERSION_HEADER: served.name, REQUEST_ID_HEADER: request_id}
        pieces = self._logged(running, answer, limits)
        if chat.streams and answer.status == 200:
            return _Stream(pieces, limits, headers)
        whole = b"".join([piece async for piece in pieces])
        return Response(whole, status_code=answer.status, headers=headers)

    async def models(self, request: Request) -> Response:
        """GET /v1/models."""
        self._client(request)
        run, newest = self.playbooks.run, self.playbooks.newest
        oldest = max(self.playbooks.oldest, newest - MOST_LISTED + 1)
        names = [f"{PREFIX}{run}", *(f"{PREFIX}{run}@{version}" for version in range(newest, oldest - 1, -1))]
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "ace"} for name in names]
        return JSONResponse({"object": "list", "data": data})

    async def feedback(self, request: Request) -> Response:
        """POST /v1/feedback. Answers when the feedback is on disk."""
        self._client(request)
        reported = FeedbackRequest.parse(await _body(request))
        exchange = reported.exchange(self.playbooks.run, self.playbooks.stable)
        status = await self.log.report(reported.feedback(), exchange)
        if status == "unknown":
            message = f"request_id: no request '{reported.request_id}'; with question and answer it needs none"
            raise ApiError(404, message, code="request_not_found", param="request_id")
        if status == "conflict":
            message = f"request_id: there is other feedback on '{reported.request_id}' already"
            raise ApiError(409, message, code="feedback_exists", param="request_id")
        self.metrics.fed_back(reported.correct)
        return JSONResponse({"object": "feedback", "request_id": reported.request_id, "status": status})

    async def readiness(self) -> Response:
        """GET /readyz: whether requests should come here."""
        if self.draining:
            return JSONResponse({"status": "draining"}, status_code=503)
        if not await self.upstream.is_ready():
            return JSONResponse({"status": "the model's endpoint does not answer"}, status_code=503)
        return JSONResponse({"status": "ready", "playbook": self.playbooks.newest})

    def render_metrics(self) -> Response:
        """GET /metrics."""
        playbooks = self.playbooks
        figures = self.upstream.endpoint_figures
        text = self.metrics.render(figures, stable=playbooks.stable, newest=playbooks.newest, dropped=self.log.dropped)
        return Response(text, media_type=CONTENT_TYPE)

    async def follow_versions(self) -> None:
        """Take up new playbook versions as they are committed."""
        while True:
            await asyncio.sleep(REFRESH_S)
            with contextlib.suppress(AceError):  # the versions at hand go on being served
                await asyncio.to_thread(self.playbooks.refresh)

    async def close(self) -> None:
        """Store what waits, and close everything."""
        self.draining = True
        await asyncio.to_thread(self.log.close)
        await self.upstream.close()
        self.store.close()

    def _client(self, request: Request) -> Client:
        """The client of a request. Without keys only local names are served, so that no web page gets here."""
        if self.keys is None and (request.url.hostname or "") not in LOCAL_HOSTS:
            raise ApiError(403, "this server has no keys, and answers under local names alone", code="forbidden_host")
        return self.clients.identify(request.headers.get("authorization"))

    async def _route(self, chat: ChatRequest, pin: str | None, request_id: str) -> tuple[ServedVersion, str]:
        """The playbook version and the upstream's model for a request. The header outranks the model's name."""
        model = chat.model
        if model.startswith(PREFIX):
            named = self.playbooks.pin_in(model)
            pin, model = pin or named, self.upstream.model
        if pin is None:
            return self.playbooks.choose(None, chat.user or request_id), model
        return await asyncio.to_thread(self.playbooks.choose, pin, ""), model

    async def _logged(
        self, running: _RunningRequest, answer: UpstreamAnswer, limits: contextlib.ExitStack
    ) -> AsyncIterator[bytes]:
        """The answer's pieces. When they end, the exchange goes to the log and the request no longer counts."""
        pieces: list[bytes] = []
        try:
            async for piece in answer.body:
                pieces.append(piece)
                yield piece
        finally:
            if answer.status == 200:
                self.log.add(lambda: _exchange(running, b"".join(pieces)))
            limits.close()


class _Stream(StreamingResponse):
    """A streamed answer that closes its `limits` also where the client is gone before it begins."""

    def __init__(self, pieces: AsyncIterator[bytes], limits: contextlib.ExitStack, headers: Mapping[str, str]) -> None:
        super().__init__(pieces, headers=dict(headers))
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._limits:
            await super().__call__(scope, receive, send)


def create_app(server: Server) -> FastAPI:
    """The application around `server`, which it closes when it shuts down."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(server.follow_versions())
        yield
        following.cancel()
        await server.close()

    app = FastAPI(title="ace", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> Response:
        return JSONResponse(error.body, status_code=error.status, headers=error.headers)

    @app.exception_handler(AceError)
    async def failed(request: Request, error: AceError) -> Response:
        return await refused(request, api_error(error))

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def nowhere(request: Request, error: Exception) -> Response:
        return await refused(
            request, ApiError(404, f"nothing at {request.method} {request.url.path}", code="not_found")
        )

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    app.add_route("/v1/chat/completions", server.chat, methods=["POST"])
    app.add_route("/v1/feedback", server.feedback, methods=["POST"])
    app.add_route("/v1/models", server.models, methods=["GET"])

    @app.get("/readyz")
    async def readyz() -> Response:
        return await server.readiness()

    @app.get("/metrics")
    async def metrics() -> Response:
        return server.render_metrics()

    return app


async def _body(request: Request) -> bytes:
    """The body of a JSON request. A form of a web page, which browsers send without asking, is none."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise ApiError(415, "Content-Type: allowed: application/json")
    if int(request.headers.get("content-length") or 0) > MOST_BYTES:
        raise ApiError(413, f"the body: allowed: at most {MOST_BYTES} bytes")
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MOST_BYTES:
            raise ApiError(413, f"the body: allowed: at most {MOST_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _exchange(running: _RunningRequest, body: bytes) -> Exchange | None:
    """The exchange to store. One without a playbook tells nothing about one."""
    if running.served.version is None:
        return None
    answer = answer_text(body, streamed=running.request.streams)
    return Exchange(
        request_id=running.request_id,
        run=running.served.run,
        version=running.served.version,
        question=running.request.question(),
        answer=answer,
        model=running.request.model,
    )
