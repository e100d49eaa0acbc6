"""Conversations with real servers, as `tests/real_inputs/endpoints` holds them, played by the endpoint on 127.0.0.1."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from endpoint import Body, Handler

INPUTS = Path(__file__).parents[1] / "real_inputs" / "endpoints"
REASONING = 'The draft {"final_answer": "no"} is wrong.'


@dataclass(frozen=True, slots=True)
class Recording:
    """One conversation: the server's responses, and what is right to make of them."""

    server: str
    id: str
    responses: tuple[dict[str, Any], ...]
    right: dict[str, Any] = field(default_factory=dict)
    guided: bool = False
    system: bool = False
    crlf: bool = False


def recordings() -> list[Any]:
    """All conversations, as parameters of a test."""
    found = []
    for path in sorted(INPUTS.glob("dialects/*.yaml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for case in document["cases"]:
            flags = {name: case.get(name, False) for name in ("guided", "system", "crlf")}
            recording = Recording(path.stem, case["id"], tuple(case["responses"]), case["right"], **flags)
            found.append(pytest.param(recording, id=f"{path.stem}-{case['id']}"))
    return found


def inputs(name: str) -> list[Any]:
    """The entries of the data file `name`, as parameters of a test."""
    entries = yaml.safe_load((INPUTS / name).read_text(encoding="utf-8"))
    return [pytest.param(entry, id=str(entry["id"])) for entry in entries]


def playing(recording: Recording, say: Callable[[Body], str]) -> Callable[[Handler, Body], None]:
    """Answer as the recorded server does, with the text that `say` gives for a request."""
    lock = threading.Lock()
    left = [response.get("times") for response in recording.responses]

    def respond(handler: Handler, body: Body) -> None:
        with lock:
            number = next(n for n, response in enumerate(recording.responses) if _applies(response, body, left[n]))
            remaining = left[number]
            left[number] = None if remaining is None else remaining - 1
        _send(handler, recording, recording.responses[number], say(body))

    return respond


def _applies(response: dict[str, Any], body: Body, left: int | None) -> bool:
    if left is not None and left <= 0:
        return False
    when = response.get("when")
    if when == "system":
        return any(message["role"] == "system" for message in body["messages"])
    if isinstance(when, dict):
        return all(body.get(name) == value for name, value in when.items())
    return when is None or when in body


def _send(handler: Handler, recording: Recording, response: dict[str, Any], text: str) -> None:
    middle = len(text) // 2
    body = response["body"]
    for mark, value in (("@1", text[:middle]), ("@2", text[middle:]), ("@R", REASONING)):
        body = body.replace(mark, json.dumps(value)[1:-1])
    if recording.crlf:
        body = body.replace("\n", "\r\n")
    handler.send_response(response.get("status", 200))
    for name, value in response.get("headers", {"content-type": "text/event-stream"}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body.encode())
