"""Waiting times that servers ask for: RFC 9110's Retry-After, and the rate-limit headers of the large hosts."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 120.0
"""Where a server asks for more, it is asked again after this."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_SENTENCE = re.compile(
    r"(?i)\b(?:try(?:ing)?(?: it)? again|retry(?:ing)?|wait|available)"
    r"\s*(?:in|after|for|at least|:)?\s*(?:about |another )?"
    r"((?:\d+(?:\.\d+)?\s*(?:milliseconds?|seconds?|secs?|minutes?|mins?|hours?|ms|[smh])\s*)+)(?![a-z])"
)
_WORDS = ((r"milliseconds?", "ms"), (r"seconds?|secs?", "s"), (r"minutes?|mins?", "m"), (r"hours?", "h"))
_RETRY_DELAY = re.compile(r"""["']?retry_?delay["']?\s*:\s*["'](\d+(?:\.\d+)?(?:ms|s|m))["']""", re.IGNORECASE)
_DELAYS = ("retry-after", "x-retry-after", "ratelimit-reset", "x-ratelimit-retry-after", "ratelimitbysize-reset")
_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")


def requested_wait(headers: Mapping[str, str], text: str = "", *, now: float | None = None) -> float | None:
    """Seconds to wait, at most LONGEST_S; None if neither the headers (in lower case) nor the text of a refusal tell.

    `now` is seconds since 1970, by default by the server's own clock, else by ours.
    """
    now = now if now is not None else _date(headers.get("date", "")) or time.time()
    waits = (
        *(_seconds(headers.get(name, ""), scale=0.001) for name in _MILLISECONDS),
        *(_delay(headers.get(name, ""), now) for name in _DELAYS[:2]),
        _reset(headers, now),
        *(_delay(headers.get(name, ""), now) for name in (*_DELAYS[2:], "x-ratelimit-reset", "x-rate-limit-reset")),
        _structured(headers.get("ratelimit", "")),
        _in_words(text),
    )
    wait = next((wait for wait in waits if wait is not None), None)
    return None if wait is None else min(max(wait, 0.0), LONGEST_S)


def exhausted_wait(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Seconds until a limit that an answer's headers (in lower case) call used up is reset; None if none is."""
    now = now if now is not None else _date(headers.get("date", "")) or time.time()
    spent, _ = _resets(headers, now)
    return min(max(0.0, *spent), LONGEST_S) if spent else None


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    """The reset of the limits on requests and tokens that are used up, else the first reset."""
    spent, waits = _resets(headers, now)
    return max(spent) if spent else min(waits, default=None)


def _resets(headers: Mapping[str, str], now: float) -> tuple[list[float], list[float]]:
    """Seconds until the reset of the limits that are used up, and of all limits."""
    waits: dict[str, float] = {}
    spent: list[float] = []
    for name, value in headers.items():
        named = re.fullmatch(r"(?:x|anthropic)-ratelimit-(?:reset-(.+)|(.+)-reset)", name)
        if named is None or (wait := _delay(value, now)) is None:
            continue
        kind = named.group(1) or named.group(2)
        waits[kind] = wait
        left = headers.get(f"x-ratelimit-remaining-{kind}") or headers.get(f"anthropic-ratelimit-{kind}-remaining")
        if left is not None and (_seconds(left) or 0) <= 0:
            spent.append(wait)
    return spent, list(waits.values())


def _delay(value: str, now: float) -> float | None:
    """Seconds, a duration such as `1m30s` or `20ms`, or a moment: an HTTP date, RFC 3339, seconds or ms since 1970."""
    value = value.strip().strip('"').lower()
    seconds = _seconds(value)
    if seconds is not None:
        if seconds > 1e11:
            return seconds / 1000 - now
        return seconds - now if seconds > 1e9 else seconds
    compact = value.replace(" ", "")
    if _DURATION.fullmatch(compact):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(compact))
    moment = _date(value)
    return None if moment is None else moment - now


def _seconds(value: str, *, scale: float = 1.0) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number * scale if math.isfinite(number) else None


def _date(value: str) -> float | None:
    """Seconds since 1970 of any of RFC 9110's three forms of a date, or of RFC 3339's."""
    for parse in (parsedate_to_datetime, _rfc3339):
        try:
            moment = parse(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def _rfc3339(value: str) -> datetime:
    return datetime.fromisoformat(value.upper())


def _structured(value: str) -> float | None:
    """The `RateLimit` header of the IETF's drafts: `limit=10, remaining=0, reset=30` or `"burst";r=0;t=30`."""
    match = re.search(r"(?:\breset\s*=\s*|;\s*t\s*=\s*)(\d+)", value)
    return float(match.group(1)) if match else None


def _in_words(text: str) -> float | None:
    """The waiting time in a message: `Please try again in 1m30.5s`, `retry after 6 seconds`, Google's `retryDelay`."""
    if match := _RETRY_DELAY.search(text):
        return _delay(match.group(1), 0.0)
    match = _SENTENCE.search(text)
    if match is None:
        return None
    duration = match.group(1).lower()
    for word, unit in _WORDS:
        duration = re.sub(word, unit, duration)
    return _delay(duration, 0.0)
