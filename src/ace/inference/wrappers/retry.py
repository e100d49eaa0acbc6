"""The only retry loop, for errors that are marked as retryable."""

from __future__ import annotations

import random
from dataclasses import replace

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from ace.errors import AceError, EngineDeadError, TransientError
from ace.inference.backend import Backend
from ace.inference.wrappers.wrapper import WrapperBackend
from ace.types import Completion, Request

LONGEST_SPREAD_S = 2.0
_BACKOFF = wait_random_exponential(multiplier=0.5, max=30)


class RetryingBackend(WrapperBackend):
    """Repeats a failed call up to `max_retries` times, waiting exponentially longer or as long as a server asks."""

    def __init__(self, inner: Backend, max_retries: int) -> None:
        super().__init__(inner)
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(max_retries + 1), wait=_wait, retry=retry_if_exception(_retryable), reraise=True
        )

    async def complete(self, request: Request) -> Completion:
        """EngineDeadError where nobody answered any of the tries."""
        try:
            async for attempt in self._retrying.copy():
                with attempt:
                    completion = await self._inner.complete(request)
                    return replace(completion, attempts=attempt.retry_state.attempt_number)
        except TransientError as error:
            if not error.facts.get("unreachable"):
                raise
            raise EngineDeadError(error.message, hint="start it again, then resume the run") from error
        raise AssertionError("tenacity reraises the last error")


def _retryable(error: BaseException) -> bool:
    return isinstance(error, AceError) and error.retryable


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    requested_s = error.facts.get("retry_after_s") if isinstance(error, AceError) else None
    if requested_s is None:
        return _BACKOFF(state)
    # Calls that were refused together must not come back together.
    return float(requested_s) + random.uniform(0, min(float(requested_s), LONGEST_SPREAD_S))
