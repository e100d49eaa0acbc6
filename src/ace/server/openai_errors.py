"""Errors in the form of OpenAI's API, which its clients turn into exceptions by status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ace.errors import (
    AceError,
    ConfigError,
    EngineDeadError,
    ModelNotFoundError,
    PromptTooLongError,
    RequestRejectedError,
    RunNotFoundError,
    StoreError,
    TransientError,
)


class ApiError(Exception):
    """A refusal: HTTP `status`, the fields of OpenAI's error object, and further `headers`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def api_error(error: AceError) -> ApiError:
    """The refusal that stands for one of our errors."""
    message = str(error)
    match error:
        case RunNotFoundError():
            return ApiError(404, message, code="playbook_not_found", param="model")
        case StoreError():
            return ApiError(503, message, kind="server_error", code="store_unavailable")
        case PromptTooLongError():
            return ApiError(400, message, code="context_length_exceeded", param="messages")
        case RequestRejectedError() | ConfigError():
            return ApiError(400, message)
        case ModelNotFoundError():
            return ApiError(404, message, code="model_not_found", param="model")
        case TransientError():
            return _transient(error)
        case EngineDeadError():
            return ApiError(503, message, kind="server_error", code="engine_unavailable")
        case _:
            return ApiError(500, message, kind="server_error")


def _transient(error: TransientError) -> ApiError:
    limited = error.facts.get("status") == 429
    wait = error.facts.get("retry_after_s")
    return ApiError(
        429 if limited else 503,
        str(error),
        kind="rate_limit_error" if limited else "server_error",
        code="rate_limit_exceeded" if limited else "upstream_unavailable",
        headers={} if wait is None else {"Retry-After": f"{wait:.0f}"},
    )
