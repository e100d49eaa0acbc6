"""Server-sent events about a run, read from the store: whoever runs it needs to know nothing of the dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from ace.store import RunReader

POLL_S = 1.0
KEEP_ALIVE_S = 15.0


async def change_feed(store: RunReader, run: str, gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """An event `change` whenever the run's committed state differs from before; ends when `gone` says so.

    The event's data is the number of committed batches and evaluations, the status, and what somebody requested.
    """
    before: tuple[object, ...] | None = None
    silent_s = 0.0
    while not await gone():
        state = await asyncio.to_thread(_state, store, run)
        if state != before:
            if before is not None:
                yield f"event: change\ndata: {' '.join(map(str, state))}\n\n"
            before, silent_s = state, 0.0
        elif silent_s >= KEEP_ALIVE_S:
            yield ": still here\n\n"
            silent_s = 0.0
        await asyncio.sleep(POLL_S)
        silent_s += POLL_S


def _state(store: RunReader, run: str) -> tuple[object, ...]:
    found = store.run(run)
    status = "abandoned" if found.abandoned else found.status
    control = found.control or "-", "waiting" if found.paused else "-"
    return found.batches, len(store.evaluations(run)), status, *control
