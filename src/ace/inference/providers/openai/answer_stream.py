"""An endpoint's answer: server-sent events of chat chunks as many servers write them, or one JSON body."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from ace.errors import InferenceError, TransientError
from ace.types import FinishReason

_FINISH: Mapping[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "stop_sequence", "end_turn", "complete", "completed"), "stop"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_length", "model_length", "max_output_tokens"), "length"),
}
_BROKEN_OFF = ("abort", "aborted", "cancelled", "canceled", "error", "timeout")
"""Finish reasons of an answer that its server gave up: asked again, it may be whole."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class StreamedAnswer:
    """An answer assembled from its chunks. Any field of a chunk may be null or missing."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    finish: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    ended: bool = False
    """Whether the server said that nothing follows: `[DONE]`, a chunk of usage alone, or the end of a JSON body."""
    first_at: float | None = None

    def add(self, chunk: object) -> None:
        """Take in one decoded chunk; what is not an object is passed over."""
        if not isinstance(chunk, dict):
            return
        gateway = chunk.get("x_groq")
        for usage in (chunk.get("usage"), gateway.get("usage") if isinstance(gateway, dict) else None):
            if isinstance(usage, dict):
                self.usage |= {key: value for key, value in usage.items() if value is not None}
        if isinstance(timings := chunk.get("timings"), dict):
            self.timings = timings
        choices = chunk.get("choices")
        if isinstance(choices, list) and choices:
            for choice in choices:
                self._add_choice(choice)
        elif self.content and isinstance(chunk.get("usage"), dict):
            self.ended = True

    def _add_choice(self, choice: object) -> None:
        if not isinstance(choice, dict) or choice.get("index") not in (0, None, "0"):
            return
        reason = choice.get("finish_reason")
        reason = reason.get("type") if isinstance(reason, dict) else reason
        if isinstance(reason, str) and reason.strip():
            self.finish = reason.strip().lower()
        if isinstance(choice.get("text"), str):
            self._append(self.content, choice["text"])
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")
            if not isinstance(delta, dict):
                return
            self.ended = True
        self._append(self.content, _text(delta.get("content")))
        thought = (_text(delta.get(name)) for name in ("reasoning_content", "reasoning", "thinking"))
        self._append(self.reasoning, next(filter(None, thought), "") or _thought(delta.get("content")))
        self._append(self.refusal, _text(delta.get("refusal")))
        self.arguments += _tool_arguments(delta)

    def _append(self, texts: list[str], text: str) -> None:
        if text:
            self.first_at = self.first_at or time.perf_counter()
            texts.append(text)

    @property
    def thought(self) -> str:
        """The model's reasoning that the server sent apart."""
        return _joined(self.reasoning)

    @property
    def text(self) -> str:
        """The answer: the content, or else what takes its place.

        A server whose reasoning parser finds no end of the reasoning puts the answer there. One that was cut off while
        thinking is no answer.
        """
        content = _joined(self.content)
        if content.strip() or self.finish_reason == "length":
            return content
        return _joined(self.arguments) or self.thought or _joined(self.refusal) or content

    @property
    def finish_reason(self) -> FinishReason:
        """Ours for the server's. An answer that was filtered or refused ends in "error"."""
        if self.refusal and not self.content:
            return "error"
        return _FINISH.get(self.finish, "error") if self.finish else "stop"

    @property
    def finish_detail(self) -> str:
        """The server's own word for how the answer ended."""
        return "refusal" if self.refusal and not self.content else re.sub(r"[^a-z_]+", " ", self.finish)[:40].strip()

    def check_complete(self) -> None:
        """TransientError where the answer is not whole."""
        if self.finish in _BROKEN_OFF:
            raise TransientError(f"the endpoint broke its answer off with finish_reason '{self.finish}'")
        if self.finish:
            return
        if not self.ended:
            raise TransientError("the answer ended before it was finished: neither a finish_reason nor [DONE] came")
        if not self.text:
            raise TransientError("the answer holds nothing: no text, and no finish_reason")


async def read_answer(body: AsyncIterator[bytes], refuse: Callable[[object], InferenceError]) -> StreamedAnswer:
    """Read a whole response. Raises what `refuse` makes of an error in it.

    TransientError for what cannot be read or is not whole.
    """
    answer = StreamedAnswer()
    async with aclosing(_lines(body)) as lines, aclosing(_events(lines)) as events:
        async for data in events:
            if data.startswith(b"[DONE]"):
                answer.ended = True
                break
            chunk = _decode(data)
            if (error := error_in(chunk)) is not None:
                raise refuse(error)
            answer.add(chunk)
    answer.check_complete()
    return answer


def error_in(chunk: object) -> object | None:
    """The error that a chunk holds, in any of the forms that servers send inside a stream; None where it holds none."""
    if not isinstance(chunk, dict):
        return None
    if chunk.get("error"):
        return chunk
    if chunk.get("object") == "error" or chunk.get("type") == "error":
        return chunk
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("error"):
            return choice
    return chunk if "choices" not in chunk and chunk.get("detail") else None


async def _lines(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Lines ended by LF, CR or CRLF; other characters that Unicode counts as line ends stand inside JSON texts."""
    rest = b""
    async for piece in body:
        rest += piece
        split_crlf = rest.endswith(b"\r")  # its LF may be in the next piece
        *whole, rest = (rest[:-1] if split_crlf else rest).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest += b"\r" if split_crlf else b""
        for line in whole:
            yield line
    if rest:
        yield rest.removesuffix(b"\r")


async def _events(lines: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each event. A line that begins like JSON is the beginning of a body without events."""
    data: list[bytes] = []
    bare: list[bytes] = []
    failed = False
    async for line in lines:
        line = line.removeprefix(b"\xef\xbb\xbf")
        if bare or line.lstrip()[:1] in (b"{", b"["):
            bare.append(line)
        elif line.lstrip()[:1] == b"<":
            raise TransientError("the endpoint answered with a web page", web_page=True)
        elif not line.strip():
            for value in _values(data):
                yield b'{"error":%s}' % value if failed else value
            data, failed = [], False
        else:
            name, _, value = (part.strip() for part in line.partition(b":"))
            failed = failed or name == b"error" or (name == b"event" and value == b"error")
            if name in (b"data", b"error"):
                data.append(value)
    for value in (*_values(data), *_values(bare)):
        yield b'{"error":%s}' % value if failed else value


def _values(lines: list[bytes]) -> Iterable[bytes]:
    """One JSON value over all lines; where it is none, one a line."""
    whole = b"\n".join(lines)
    try:
        json.loads(whole)
    except (ValueError, RecursionError):
        return [line for line in lines if line.strip()]
    return [whole]


def _decode(data: bytes) -> object:
    if not data.strip():
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # not JSON, or not UTF-8
        raise TransientError(f"the answer cannot be read: {error}") from error


def _text(value: object) -> str:
    """A content: a text, or a list of parts of which those of text count."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return ""
    parts = (part for part in value if isinstance(part, dict) and part.get("type") in ("text", "output_text", None))
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _thought(content: object) -> str:
    """The parts of a content that are reasoning."""
    if not isinstance(content, list):
        return ""
    parts = (part for part in content if isinstance(part, dict) and part.get("type") in ("thinking", "reasoning"))
    return "".join(_text(part.get("thinking")) or _text(part.get("text")) for part in parts)


def _tool_arguments(delta: Mapping[str, Any]) -> list[str]:
    """The arguments of the first tool call: how some gateways guide an answer."""
    calls = delta.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    holders = (*functions[:1], delta.get("function_call"))
    texts = (function.get("arguments") for function in holders if isinstance(function, dict))
    return [text for text in texts if isinstance(text, str) and text]


def _joined(texts: Iterable[str]) -> str:
    """One text; halves of a character that came in two chunks are put together."""
    text = "".join(texts)
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
