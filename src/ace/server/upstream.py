"""The upstream that answers the clients: OpenAI-compatible endpoints, to which requests go as they are."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from ace.config import ModelSettings
from ace.inference.balancer import Balancer, EndpointFigures, EndpointState
from ace.inference.providers.api_keys import api_key
from ace.inference.rate_limits import requested_wait
from ace.server.openai_errors import ApiError

_HEADERS = ("content-type", "retry-after", "retry-after-ms")
_HEADER_PREFIXES = ("x-ratelimit-", "openai-", "x-should-retry")
_PROBE_S = 5.0
LIMITED_S = 1.0
"""How long an endpoint rests that refused a request for a rate limit and does not say for how long."""


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """An answer as it comes: HTTP status, the headers that clients use, and the body piece by piece.

    `done` must be called once the body was read, or is given up.
    """

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]
    done: Callable[[], None] = lambda: None


class Upstream(Protocol):
    """Answers chat completions. `model` is the name that stands for it where a client names one of ours."""

    @property
    def model(self) -> str:
        """The model's own name."""

    @property
    def endpoint_figures(self) -> tuple[EndpointFigures, ...]:
        """Figures of its endpoints; none for an engine."""

    async def chat(self, body: Mapping[str, Any], request_id: str) -> UpstreamAnswer:
        """Answer a request's body. ApiError where nobody answered; a refusal is an answer."""

    async def is_ready(self) -> bool:
        """Return True if it would answer now."""

    async def close(self) -> None:
        """Give up what is open."""


class EndpointUpstream:
    """The endpoint of a model of provider `openai`, or its several endpoints.

    Requests and answers pass through unchanged. A request that an endpoint could not take, or refused for its own
    reasons (429, 5xx), goes to the next one; it is repeated nowhere else.
    """

    def __init__(self, settings: ModelSettings) -> None:
        self.model = settings.model
        self._timeout_s = settings.timeout_s
        named = {endpoint.base_url: endpoint.api_key_env for endpoint in settings.endpoints}
        own = settings.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        keys = {url: api_key(_with_key(settings, name)) for url, name in (named or {own: None}).items()}
        # The client must not pay for compression that is undone at once.
        self._headers = {
            url: {"Authorization": f"Bearer {key or 'EMPTY'}", "Accept-Encoding": "identity"}
            for url, key in keys.items()
        }
        weights = {endpoint.base_url: endpoint.weight for endpoint in settings.endpoints}
        self._balancer = Balancer([(url, weights.get(url, 1.0)) for url in keys])
        self._session: aiohttp.ClientSession | None = None

    @property
    def endpoint_figures(self) -> tuple[EndpointFigures, ...]:
        return self._balancer.figures

    async def chat(self, body: Mapping[str, Any], request_id: str) -> UpstreamAnswer:
        tried: set[str] = set()
        failure = ApiError(502, "the model has no endpoint", kind="server_error")
        while (endpoint := self._balancer.choose(tried) or self._balancer.force(tried)) is not None:
            tried.add(endpoint.address)
            try:
                response = await self._post(endpoint.address, body, request_id)
            except ApiError as error:
                self._balancer.failed(endpoint, unreachable=error.status == 502)
                failure = error
                continue
            except BaseException:
                self._balancer.dropped(endpoint)
                raise
            headers = {name.lower(): value for name, value in response.headers.items()}
            refused = response.status == 429 or response.status >= 500
            if refused and len(tried) < len(self._balancer.endpoints):
                response.close()
                self._refused(endpoint, response.status, headers)
                continue
            return UpstreamAnswer(
                response.status, _passed_on(headers), _pieces(response), self._end(endpoint, response.status, headers)
            )
        raise failure

    async def is_ready(self) -> bool:
        """Return True if one of the endpoints answers at all: not each has a list of models to show."""
        return any([await self._is_alive(url) for url in self._headers])

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # its connections close at the loop's next turn

    async def _post(self, url: str, body: Mapping[str, Any], request_id: str) -> aiohttp.ClientResponse:
        """Send a request and wait for the headers. ApiError 502 without a connection, 504 without an answer."""
        headers = {**self._headers[url], "X-Request-Id": request_id}
        try:
            return await self._open().post(f"{url.rstrip('/')}/chat/completions", json=body, headers=headers)
        except TimeoutError as error:
            message = f"the model's endpoint gave no answer in {self._timeout_s:.0f} s"
            raise ApiError(504, message, kind="server_error", code="upstream_timeout") from error
        except aiohttp.ClientError as error:
            message = f"the model's endpoint cannot be reached: {error}"
            raise ApiError(502, message, kind="server_error", code="upstream_unavailable") from error

    def _end(self, endpoint: EndpointState, status: int, headers: Mapping[str, str]) -> Callable[[], None]:
        """Return what tells the balancer that an answer has ended."""
        started = time.perf_counter()

        def end() -> None:
            if status == 429 or status >= 500:
                self._refused(endpoint, status, headers)
            else:
                self._balancer.answered(endpoint, time.perf_counter() - started)

        return end

    def _refused(self, endpoint: EndpointState, status: int, headers: Mapping[str, str]) -> None:
        if status == 429:
            self._balancer.limited(endpoint, requested_wait(headers) or LIMITED_S)
        else:
            self._balancer.failed(endpoint)

    async def _is_alive(self, url: str) -> bool:
        try:
            timeout = aiohttp.ClientTimeout(total=_PROBE_S)
            address = f"{url.rstrip('/')}/models"
            async with self._open().get(address, timeout=timeout, headers=self._headers[url]) as response:
                return response.status < 500
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _open(self) -> aiohttp.ClientSession:
        """The session, which belongs to the running event loop. Limits are the endpoints', not the client's."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=self._timeout_s)
            )
        return self._session


def _with_key(settings: ModelSettings, variable: str | None) -> ModelSettings:
    return settings if variable is None else settings.model_copy(update={"api_key_env": variable})


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body as it arrives. ApiError (502) where it breaks off: an answer that has begun then ends there."""
    try:
        async for piece in response.content.iter_any():
            yield piece
    except (aiohttp.ClientError, TimeoutError) as error:
        message = f"the model's endpoint broke off its answer: {str(error) or type(error).__name__}"
        raise ApiError(502, message, kind="server_error", code="upstream_unavailable") from error
    finally:
        # A connection with a rest of an answer in it is of no more use.
        if response.content.is_eof():
            response.release()
        else:
            response.close()


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _HEADERS or name.startswith(_HEADER_PREFIXES)}
