"""Who may see the dashboard: requests to a local name, or whoever has the token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

COOKIE = "ace_token"
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self';"
        " img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Next = Callable[[Request], Awaitable[Response]]


class Access:
    """Middleware. Without a token only local names are served, so that no foreign name can be bound to this address."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def __call__(self, request: Request, call_next: Next) -> Response:
        """Serve, refuse with 403, or turn a token in the URL into a cookie."""
        if self._token is None:
            allowed = (request.url.hostname or "") in LOCAL_HOSTS
        else:
            given = request.query_params.get("token")
            if given is not None and hmac.compare_digest(given.encode(), self._token.encode()):
                return self._with_cookie(request)
            allowed = hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._token.encode())
        response = await call_next(request) if allowed else PlainTextResponse("not allowed", status_code=403)
        response.headers.update(HEADERS)
        return response

    def _with_cookie(self, request: Request) -> Response:
        """The same page without the token in its address, which browsers keep and send on."""
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        response = RedirectResponse(request.url.path + (f"?{urlencode(rest)}" if rest else ""), status_code=303)
        response.set_cookie(COOKIE, self._token or "", httponly=True, samesite="strict")
        return response
