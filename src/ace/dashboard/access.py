"""Who may see the dashboard, and whose forms may change something."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

COOKIE = "ace_token"
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self';"
        " img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers hide the origin of our own forms
    "Cache-Control": "no-store",
}
MOST_FORM_BYTES = 200_000
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
            token = request.query_params.get("token")
            if token is not None and hmac.compare_digest(token.encode(), self._token.encode()):
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


class FormGuard:
    """Accepts forms of the dashboard's own pages alone: they hold `token`, and come from the same origin."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)

    async def read(self, request: Request) -> dict[str, str]:
        """Read the fields of a form. HTTPException 403 for a form of another site, 413 for a large one."""
        origin = urlsplit(request.headers.get("origin", "")).netloc
        site = request.headers.get("sec-fetch-site", "same-origin")
        if origin != request.headers.get("host") or site != "same-origin":
            raise HTTPException(403, "not allowed: the form comes from another site")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_FORM_BYTES:
                raise HTTPException(413, "the form is too large")
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if not hmac.compare_digest(form.get("form_token", "").encode(), self.token.encode()):
            raise HTTPException(403, "not allowed: open the page again and repeat")
        return form
