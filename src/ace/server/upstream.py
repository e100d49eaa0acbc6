"""What answers the clients: an OpenAI-compatible endpoint, to which requests go as they are."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from ace.config import ModelSettings
from ace.inference.providers.api_keys import api_key
from ace.server.openai_errors import ApiError

_HEADERS = ("content-type", "retry-after", "retry-after-ms")
_HEADER_PREFIXES = ("x-ratelimit-", "openai-", "x-should-retry")
_PROBE_S = 5.0


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """An answer as it comes: HTTP status, the headers that clients use, and the body piece by piece.

    The body must be read to its end, or closed.
    """

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class Upstream(Protocol):
    """Answers chat completions. `model` is the name that stands for it where a client names one of ours."""

    @property
    def model(self) -> str:
        """The model's own name."""

    async def chat(self, body: Mapping[str, Any], request_id: str) -> UpstreamAnswer:
        """Answer a request's body. ApiError where nobody answered; a refusal is an answer."""

    async def is_ready(self) -> bool:
        """Whether it would answer now."""

    async def close(self) -> None:
        """Give up what is open."""


class EndpointUpstream:
    """An endpoint of provider `openai`. Requests and answers pass through unchanged, and are not repeated."""

    def __init__(self, settings: ModelSettings) -> None:
        self.model = settings.model
        self._url = (settings.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1").rstrip("/")
        self._timeout_s = settings.timeout_s
        # The client must not pay for a limit that is the upstream's, nor for compression that is undone at once.
        self._headers = {"Authorization": f"Bearer {api_key(settings) or 'EMPTY'}", "Accept-Encoding": "identity"}
        self._session: aiohttp.ClientSession | None = None

    async def chat(self, body: Mapping[str, Any], request_id: str) -> UpstreamAnswer:
        try:
            response = await self._open().post(
                f"{self._url}/chat/completions", json=body, headers={"X-Request-Id": request_id}
            )
        except TimeoutError as error:
            message = f"the model's endpoint gave no answer in {self._timeout_s:.0f} s"
            raise ApiError(504, message, kind="server_error", code="upstream_timeout") from error
        except aiohttp.ClientError as error:
            message = f"the model's endpoint cannot be reached: {error}"
            raise ApiError(502, message, kind="server_error", code="upstream_unavailable") from error
        return UpstreamAnswer(response.status, _passed_on(response.headers), _pieces(response))

    async def is_ready(self) -> bool:
        """Whether the endpoint answers at all: not each has a list of models to show."""
        try:
            timeout = aiohttp.ClientTimeout(total=_PROBE_S)
            async with self._open().get(f"{self._url}/models", timeout=timeout) as response:
                return response.status < 500
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """The session, which belongs to the running event loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                headers=self._headers,
            )
        return self._session


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
    lower = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in lower.items() if name in _HEADERS or name.startswith(_HEADER_PREFIXES)}
