"""One of our own backends as upstream: requests of OpenAI's API are rendered by the provider."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

from ace.errors import AceError, ConfigError
from ace.inference import Backend
from ace.inference.balancer import EndpointFigures
from ace.server.chat_request import text_of
from ace.server.openai_errors import ApiError, api_error
from ace.server.upstream import UpstreamAnswer
from ace.types import Completion, Message, Request, Sampling

T = TypeVar("T")
_READ = frozenset(
    ("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p")
) | {"seed", "stop", "response_format"}
_WITHOUT_EFFECT = frozenset(("user", "safety_identifier", "metadata", "store", "service_tier", "prompt_cache_key"))
_DEFAULTS: Mapping[str, Any] = {
    "n": 1,
    "logprobs": False,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "tools": [],
    "tool_choice": "none",
    "parallel_tool_calls": True,
}
"""Values that ask for nothing."""


class EngineUpstream:
    """A live backend, which stays open. An answer comes whole: streamed, it is one chunk."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def model(self) -> str:
        return self._backend.info.name

    @property
    def endpoint_figures(self) -> tuple[EndpointFigures, ...]:
        return ()

    async def chat(self, body: Mapping[str, Any], request_id: str) -> UpstreamAnswer:
        if body["model"] != self.model:
            raise ApiError(404, f"no model '{body['model']}' here", code="model_not_found", param="model")
        try:
            completion = await self._backend.complete(_request(body, self._backend.info.provider))
        except AceError as error:
            raise api_error(error) from error
        if completion.finish_reason == "error":
            detail = completion.finish_detail or "no reason is known"
            raise ApiError(502, f"the model gave no answer: {detail}", kind="server_error")
        if body.get("stream") is True:
            with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
            events = _events(completion, request_id, with_usage=with_usage)
            return UpstreamAnswer(200, {"content-type": "text/event-stream"}, _pieces(events))
        data = json.dumps(_answer(completion, request_id)).encode()
        return UpstreamAnswer(200, {"content-type": "application/json"}, _pieces(data))

    async def is_ready(self) -> bool:
        return True

    async def close(self) -> None:
        """Nothing: whoever opened the backend closes it."""


def _request(body: Mapping[str, Any], provider: str) -> Request:
    """Our request for a body. ApiError (400) for what it asks that a model in process cannot do."""
    for name, value in body.items():
        if name in _READ or name in _WITHOUT_EFFECT or value is None or _DEFAULTS.get(name) == value:
            continue
        raise ApiError(
            400, f"{name}: not supported with provider '{provider}'", code="unsupported_parameter", param=name
        )
    stop = body.get("stop") or ()
    default = Sampling()
    try:
        sampling = Sampling(
            max_tokens=_value_or(
                body.get("max_completion_tokens"), _value_or(body.get("max_tokens"), default.max_tokens)
            ),
            temperature=_value_or(body.get("temperature"), default.temperature),
            top_p=_value_or(body.get("top_p"), default.top_p),
            seed=body.get("seed"),
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
        )
        messages = tuple(_message(message) for message in body["messages"])
    except (ConfigError, TypeError) as error:
        raise ApiError(400, str(error)) from error
    return Request(messages, sampling, schema=_schema(body.get("response_format")))


def _value_or(value: Any, default: T) -> T:
    return default if value is None else value


def _message(message: Mapping[str, Any]) -> Message:
    role: Any = "system" if message["role"] == "developer" else message["role"]
    content = message.get("content")
    if isinstance(content, list) and any(part.get("type") != "text" for part in content):
        raise ApiError(400, "messages: parts other than text are not supported here", param="messages")
    return Message(role, text_of(message))


def _schema(response_format: Any) -> Mapping[str, Any] | None:
    kind = response_format.get("type") if isinstance(response_format, Mapping) else None
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return {"type": "object"}
    if kind == "json_schema" and isinstance(schema := response_format.get("json_schema", {}).get("schema"), Mapping):
        return schema
    raise ApiError(
        400, f"response_format: found {kind!r}, allowed: text, json_object, json_schema", param="response_format"
    )


def _answer(completion: Completion, request_id: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": completion.text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": completion.finish_reason, "logprobs": None}
    return {**_head(completion, request_id, "chat.completion"), "choices": [choice], "usage": _usage(completion)}


def _events(completion: Completion, request_id: str, *, with_usage: bool) -> bytes:
    head = _head(completion, request_id, "chat.completion.chunk")
    text = {"role": "assistant", "content": completion.text}
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": text, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": completion.finish_reason}]},
    ]
    if with_usage:
        chunks.append({**head, "choices": [], "usage": _usage(completion)})
    return b"".join(f"data: {data}\n\n".encode() for data in (*map(json.dumps, chunks), "[DONE]"))


def _head(completion: Completion, request_id: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{request_id}", "object": kind, "created": int(time.time()), "model": completion.model}


def _usage(completion: Completion) -> dict[str, Any]:
    usage = completion.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data
