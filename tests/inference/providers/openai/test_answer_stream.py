"""Chunks with any of their fields null, missing or of another kind, and bodies cut into any pieces."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_endpoint import Recording, recordings

from ace.errors import AceError, TransientError
from ace.inference.providers.openai.answer_stream import StreamedAnswer, read_answer

MISSING = object()
STREAMED = [case for case in recordings() if case.values[0].id == "streamed"]


def read(pieces: Sequence[bytes]) -> StreamedAnswer:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    reading = read_answer(body(), lambda error: TransientError(str(error)))
    try:
        reading.send(None)  # it never waits, so that no loop is needed
    except StopIteration as done:
        answer: StreamedAnswer = done.value
        return answer
    raise AssertionError("the body was not read to its end")


def chunks(recording: Recording) -> list[Any]:
    body = recording.responses[-1]["body"].replace("@1", "hel").replace("@2", "lo").replace("@R", "hm")
    lines = (line.removeprefix("data:").strip() for line in body.splitlines() if line.startswith("data:"))
    return [json.loads(line) for line in lines if line != "[DONE]"]


def stream(events: Sequence[Any]) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value inside `value`, and to itself."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def changed(events: Sequence[Any], number: int, path: tuple[Any, ...], value: Any) -> list[Any]:
    """The events with another value at one place."""
    copied = copy.deepcopy(list(events))
    holder, key = copied, number
    for step in path:
        holder, key = holder[key], step
    if value is MISSING:
        del holder[key]
    else:
        holder[key] = value
    return copied


@pytest.mark.parametrize("recording", STREAMED)
def test_any_field_of_a_chunk_may_be_null_missing_or_of_another_kind(recording: Recording) -> None:
    events = chunks(recording)
    whole = read([stream(events)]).text
    assert whole.endswith("hello")
    for number, event in enumerate(events):
        for path in places(event):
            for value in (None, MISSING, "", 1, [None], {"a": None}):
                body = stream(changed(events, number, path, value))
                try:
                    text = read([body]).text
                except AceError:
                    continue
                if not {"content", "reasoning", "reasoning_content", "delta", "choices"} & set(map(str, path)) and path:
                    assert text == whole


@given(st.data())
def test_a_body_is_the_same_in_any_pieces(data: st.DataObject) -> None:
    recording = data.draw(st.sampled_from(STREAMED)).values[0]
    end = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    body = stream([*chunks(recording)]).replace(b"\n", end)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=20)))
    pieces = [body[begin:stop] for begin, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    answer = read(pieces)
    assert answer.text.endswith("hello") and answer.finish_reason == "stop"


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_one_of_our_errors(body: bytes) -> None:
    for framed in (body, b"data: " + body + b"\n\n", b'data: {"choices": ' + body + b"}\n\ndata: [DONE]\n\n"):
        try:
            answer = read([framed])
        except AceError:
            continue
        assert read([framed[:9], framed[9:]]) == answer
