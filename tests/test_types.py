"""The shared value types: what they refuse, and what is derived from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ace.errors import ConfigError
from ace.types import Message, Request, Sampling, Usage

REQUEST = Request((Message("system", "s"), Message("user", "u")), Sampling(), {"type": "object"})


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
    ],
)
def test_a_sampling_that_no_engine_takes_is_refused(values: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=f"sampling.{key}"):
        Sampling(**values)


def test_a_message_has_a_known_role_and_a_text() -> None:
    with pytest.raises(ConfigError, match="allowed: system, user, assistant"):
        Message("robot", "x")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a text"):
        Message("user", None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, messages=REQUEST.messages[::-1]),
        replace(REQUEST, messages=(Message("user", "s"), Message("user", "u"))),
        replace(REQUEST, sampling=Sampling(seed=1)),
        replace(REQUEST, sampling=Sampling(stop=("x",))),
        replace(REQUEST, schema=None),
        replace(REQUEST, schema={"type": "array"}),
    ],
)
def test_the_digest_tells_apart_whatever_decides_the_answer(other: Request) -> None:
    assert other.digest != REQUEST.digest
    assert replace(other, messages=REQUEST.messages, sampling=REQUEST.sampling, schema=REQUEST.schema).digest == (
        REQUEST.digest
    )


def test_the_digest_takes_any_text() -> None:
    assert Request((Message("user", "\ud800"),)).digest.startswith("sha256:")


def test_usage_adds_up_and_keeps_unknown_times_unknown() -> None:
    a, b = Usage(1, 2, 3, None, 0.5, 1.0, 4, 3, 1), Usage(10, 20, 30, None, None, 2.0, 40, 30, 10)
    assert a + b == Usage(11, 22, 33, None, 0.5, 3.0, 44, 33, 11)
