"""The one place where an endpoint's refusals, and its client library's errors, become ours."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import openai

from ace._util.masking import mask
from ace.errors import (
    InferenceError,
    ModelNotFoundError,
    PromptTooLongError,
    ProviderStartError,
    RequestRejectedError,
    TransientError,
)
from ace.inference.rate_limits import requested_wait

MAX_CHARACTERS = 500
"""Characters of a server's message that an error repeats."""

_SPENT = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance")
"""Codes of an account that has no money left. The same words without the code may be about a limit that passes."""
_SPENT_QUOTED = re.compile(rf"""["']?(?:code|type)["']?\s*[:=]\s*["'](?:{"|".join(_SPENT)})["']""")
_PASSING = re.compile(r"(?i)concurren|simultaneous|parallel|per (?:minute|second|hour|day)|at the same time|try again")
_UNPAID = re.compile(
    r"(?i)insufficient[_ ](?:account[_ ])?(?:balance|credits?|funds)|credit balance is too low|out of credits"
)
_BAD_KEY = re.compile(
    r"(?i)\b(?:invalid|incorrect|wrong|expired)[ _]api[ _]key|api[ _]key[ _](?:is )?(?:not valid|invalid|expired)"
)
_NO_MODEL = re.compile(
    r"(?i)model[ _]not[ _]found|not a valid model|invalid model\b|unknown model|no models? (?:is |are )?loaded"
    r"|model\b.{0,80}\b(?:does not exist|doesn't exist|not found)"
)
_MODERATED = re.compile(r"(?i)moderation|content[_ ]?(?:filter|policy|management)|safety system|responsibleai|flagged")
_TOO_LONG = re.compile(
    r"(?i)context[_ ](?:length|size|window)|maximum context|prompt is too long|input is too long|too many tokens"
    r"|exceeds? the (?:maximum|max) (?:number of tokens|model length|input length)|reduce the length of the"
    r"|`?inputs`? (?:must have less|tokens \+)|longer than the (?:maximum )?model|string_above_max_length"
    r"|prompt contains \d+ tokens|exceed_context_size"
)
_ACCOUNT = "see the account that the API key belongs to; then: ace resume"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Model and address of an endpoint for its errors, and the key that none of them repeats."""

    address: str
    model: str
    key: str | None

    def failure(self, status: int | None, body: object, headers: Mapping[str, str] | None = None) -> InferenceError:
        """Our error for the server's `body`: of an HTTP status, or within a stream where that is None."""
        fields = error_fields(body)
        words = mask(fields.message, (self.key,))[:MAX_CHARACTERS].strip()
        status = status if status is not None else fields.status
        reason = ": ".join(filter(None, (f"HTTP {status}" if status else "", words))) or "an error without a reason"
        message = f"{self.address}: {reason}"
        if _is_spent(fields, status):
            return ProviderStartError(message, hint=_ACCOUNT)
        too_long = _TOO_LONG.search(f"{fields.message} {fields.code}") and status not in (401, 403, 404, 429)
        if too_long or status == 413:
            return PromptTooLongError(message, prompt_tokens=None, max_model_len=None)
        if (unusable := self._unusable(fields, status, reason)) is not None:
            return unusable
        if _is_refused_for_good(fields, status):
            return RequestRejectedError(message, status=status, parameter=fields.parameter, words=words)
        wait = requested_wait(headers or {}, fields.message)
        return TransientError(message, status=status, retry_after_s=wait, words=words)

    def _unusable(self, fields: ErrorFields, status: int | None, reason: str) -> ProviderStartError | None:
        """The error of a key, a model or an address with which no call will succeed."""
        text = f"{fields.message} {fields.code}"
        if status == 401 or (status == 400 and _BAD_KEY.search(text)):
            refused = f"{self.address}: the API key is not accepted: {reason}"
            return ProviderStartError(refused, hint="see models.*.api_key_env")
        if status == 403 and not _MODERATED.search(text):
            return ProviderStartError(f"{self.address}: the API key may not use '{self.model}': {reason}")
        if status in (404, 405) or (status in (400, 422) and _NO_MODEL.search(text)):
            return ModelNotFoundError(
                f"{self.address}: no model '{self.model}', or no chat endpoint there: {reason}",
                hint="see models.*.model and models.*.base_url, which ends in /v1 with most servers",
                model=self.model,
            )
        return None

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turns the client library's errors into ours. No key is ever in a message."""
        try:
            yield
        except (openai.APITimeoutError, TimeoutError) as error:
            raise TransientError(f"{self.address}: no answer in time") from error
        except openai.APIConnectionError as error:
            raise self.unreachable(error.__cause__ or error) from error
        except openai.APIStatusError as error:
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            raise self.failure(error.status_code, error.response.text, headers) from error
        except UnicodeEncodeError as error:
            if error.encoding == "utf-8":
                raise RequestRejectedError(f"a message holds a lone surrogate at character {error.start}") from None
            raise RequestRejectedError(f"a header holds a character that is not {error.encoding}") from None
        except (openai.OpenAIError, json.JSONDecodeError) as error:
            raise TransientError(
                f"{self.address}: the answer cannot be read: {mask(str(error), (self.key,))}"
            ) from error

    def unreachable(self, cause: BaseException) -> TransientError:
        """The error for a connection that failed, or broke off under way, because of `cause`."""
        words = mask(str(cause), (self.key,))[:MAX_CHARACTERS] or type(cause).__name__
        # Not by class: versions of the library bring HTTP clients of different packages.
        nobody = type(cause).__name__ == "ConnectError"
        return TransientError(f"{self.address}: the connection failed: {words}", unreachable=nobody)


@dataclass(frozen=True, slots=True)
class ErrorFields:
    """The text of a server's error, in any of its forms."""

    message: str
    code: str = ""
    type: str = ""
    parameter: str = ""
    status: int | None = None


def _is_spent(fields: ErrorFields, status: int | None) -> bool:
    """Return True if the account has no money left, by a code or by words that mean nothing else."""
    code = fields.code.lower()
    if (not code or code.isdigit()) and not _PASSING.search(fields.message):
        code = fields.type.lower() or fields.message.strip().lower()
    if status == 402 or code in _SPENT or _SPENT_QUOTED.search(fields.message):
        return True
    return _is_client_error(status) and _UNPAID.search(fields.message) is not None


def _is_refused_for_good(fields: ErrorFields, status: int | None) -> bool:
    if status is None:
        return bool(
            {"invalid_request_error", "badrequesterror", "validation"} & {fields.code.lower(), fields.type.lower()}
        )
    return _is_client_error(status) and status not in (408, 409, 425, 429)


def _is_client_error(status: int | None) -> bool:
    return status is not None and 400 <= status < 500


def error_fields(body: object) -> ErrorFields:
    """Read the error in a body: JSON in OpenAI's, FastAPI's, TGI's or a gateway's form, a web page, or plain text."""
    if isinstance(body, str):
        try:
            decoded = json.loads(body)
        except (ValueError, RecursionError):
            return ErrorFields(_plain(body))
        return error_fields(decoded) if not isinstance(decoded, str) else ErrorFields(decoded)
    if isinstance(body, list):
        return error_fields(body[0]) if len(body) == 1 else ErrorFields(_details(body), parameter=_location(body))
    if not isinstance(body, dict):
        return ErrorFields("" if body is None else str(body))
    error = body.get("error")
    inner: dict[str, Any] = error if isinstance(error, dict) else body
    detail = inner.get("detail") or inner.get("details") or body.get("detail")
    texts = (error, inner.get("message"), inner.get("msg"), inner.get("reason"), inner.get("errors"), detail)
    message = next((_message_text(text) for text in texts if _message_text(text)), "") or json.dumps(
        inner, ensure_ascii=False
    )
    metadata = inner.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
        message = f"{message}: {metadata['raw']}"
    if isinstance(detail, list) and "retryDelay" in (extra := json.dumps(detail)):
        message = f"{message} {extra}"
    code = inner.get("code") if inner.get("code") is not None else body.get("code")
    kind = inner.get("type") or body.get("error_type") or inner.get("status")
    return ErrorFields(
        message=message,
        code="" if code is None else str(code),
        type=str(kind or ""),
        parameter=str(inner.get("param") or _location(detail) or ""),
        status=_status(code) or _status(inner.get("status_code") or inner.get("status")),
    )


def _message_text(value: object) -> str:
    """A message as text: servers also send lists of problems, and objects with a message of their own."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        return _message_text(value.get("message"))
    return _details(value) if isinstance(value, list) else ""


def _details(items: list[Any]) -> str:
    """FastAPI's list of problems, each with its place, as one line."""
    lines = []
    for item in items:
        if isinstance(item, dict) and (text := item.get("msg") or item.get("message")):
            place = item.get("loc")
            where = ".".join(map(str, place)) + ": " if isinstance(place, list) else ""
            lines.append(f"{where}{text}")
        elif isinstance(item, str):
            lines.append(item)
    return "; ".join(lines)


def _location(detail: object) -> str:
    """The parameter that FastAPI's first problem is about."""
    first = detail[0] if isinstance(detail, list) and detail else None
    place = first.get("loc") if isinstance(first, dict) else None
    names = [str(part) for part in place if part != "body"] if isinstance(place, list) else []
    return names[0] if names else ""


def _status(value: object) -> int | None:
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if 400 <= number < 600 else None


def _plain(text: str) -> str:
    """A web page's title or text; other text as it is."""
    if not text.lstrip().startswith("<"):
        return " ".join(text.split())
    title = re.search(r"(?is)<title[^>]*>(.*?)</title>", text[:20_000])
    body = title.group(1) if title else re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>", " ", text[:20_000])
    return "a web page: " + " ".join(body.split())
