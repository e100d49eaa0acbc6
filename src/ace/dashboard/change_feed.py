"""Server-sent events about a run, read from the store: whoever runs it needs to know nothing of the dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from ace.store import RunReader

POLL_S = 1.0
KEEP_ALIVE_S = 15.0


async def change_feed(
    store: RunReader, run: str, gone: Callable[[], Awaitable[bool]], *, last: str | None = None
) -> AsyncIterator[str]:
    """An event `change` whenever the run's committed state differs from before; ends when `gone` says so.

    The event's data is the `run_state`. `last` is the one that the page shows, by default the first that is read.
    """
    silent_s = 0.0
    while not await gone():
        state = await asyncio.to_thread(run_state, store, run)
        if last is None:
            last = state
        if state != last:
            yield f"event: change\ndata: {state}\n\n"
            last, silent_s = state, 0.0
        elif silent_s >= KEEP_ALIVE_S:
            yield ": still here\n\n"
            silent_s = 0.0
        await asyncio.sleep(POLL_S)
        silent_s += POLL_S


def run_state(store: RunReader, run: str) -> str:
    """Committed batches and evaluations, the status, and what somebody requested, in a line."""
    info = store.run(run)
    status = "abandoned" if info.abandoned else info.status
    control = info.control or "-", "waiting" if info.paused else "-"
    return " ".join((str(info.batches), str(len(store.evaluations(run))), status, *control))
