"""Requests for chat completions: checked as far as we need to read them, and changed in two places alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ace.server.openai_errors import ApiError

_SYSTEM = ("system", "developer")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The body of a request as the client sent it. What we do not read is not checked: that is the upstream's."""

    body: Mapping[str, Any]

    @classmethod
    def parse(cls, raw: bytes) -> ChatRequest:
        """Read the body. ApiError (400) names what of it cannot be read."""
        try:
            body = json.loads(raw)
        except ValueError as error:
            raise ApiError(400, f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise ApiError(400, f"the body: found {type(body).__name__}, allowed: a JSON object")
        if not isinstance(body.get("model"), str) or not body["model"]:
            raise ApiError(400, "model: missing or not a text", param="model")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise ApiError(400, "messages: missing, empty or not a list", param="messages")
        for number, message in enumerate(messages):
            if not isinstance(message, dict) or not isinstance(message.get("role"), str):
                raise ApiError(400, f"messages[{number}]: not an object with a role", param=f"messages[{number}]")
        return cls(body)

    @property
    def model(self) -> str:
        """The name of the model, as the client gave it."""
        return str(self.body["model"])

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The conversation."""
        messages: Sequence[Mapping[str, Any]] = self.body["messages"]
        return messages

    @property
    def streams(self) -> bool:
        """True if the answer is to come as server-sent events."""
        return self.body.get("stream") is True

    @property
    def user(self) -> str:
        """The client's own name for its user; "" where it gives none."""
        return str(self.body.get("user") or self.body.get("safety_identifier") or "")

    def with_playbook(self, playbook: str, model: str) -> dict[str, Any]:
        """The body with `playbook` at the head of the system message, and with the name `model`."""
        return {**self.body, "model": model, "messages": _prefixed(self.messages, playbook)}

    def question(self) -> str:
        """The conversation as text, without the playbook. A single user message stands for itself."""
        if len(self.messages) == 1 and self.messages[0]["role"] == "user":
            return text_of(self.messages[0])
        return "\n\n".join(f"{message['role']}: {text_of(message)}" for message in self.messages)


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message or an answer: its content, the texts of its parts, and its tool calls as JSON."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    texts = [_part_text(part) for part in parts if part is not None]
    if calls := message.get("tool_calls"):
        texts.append(json.dumps(calls, ensure_ascii=False))
    return "\n".join(texts)


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    return f"[{kind}]"


def _prefixed(messages: Sequence[Mapping[str, Any]], playbook: str) -> list[Mapping[str, Any]]:
    """The messages with `playbook` in front: many chat templates take one system message, and only as the first."""
    if not playbook:
        return list(messages)
    first = messages[0]
    if first["role"] not in _SYSTEM:
        return [{"role": "system", "content": playbook}, *messages]
    content = first.get("content")
    joined: object
    if isinstance(content, list):
        joined = [{"type": "text", "text": playbook}, *content]
    else:
        joined = f"{playbook}\n\n{content or ''}".rstrip()
    return [{**first, "content": joined}, *messages[1:]]
