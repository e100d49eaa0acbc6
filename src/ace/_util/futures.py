"""Setting the outcome of a future, also from another thread."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def settle(future: asyncio.Future[T] | Future[T], outcome: T | BaseException) -> None:
    """Set the result or the exception of `future`, unless it is done."""
    if future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def settle_from_thread(loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], outcome: T | BaseException) -> None:
    """Settle `future` on its own `loop`, from any thread. Without effect once the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(settle, future, outcome)
