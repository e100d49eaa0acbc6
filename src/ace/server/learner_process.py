"""The worker that learns from feedback, as a process beside the server: nothing that it does delays a request."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

RESTART_S = 10.0
STOP_S = 30.0
_log = logging.getLogger(__name__)


async def keep_learner(arguments: Sequence[str]) -> None:
    """Keep `ace learn` with these arguments running until cancelled. It ends with this process, whatever ends it."""
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ace", "learn", *arguments, "--parent", str(os.getpid())
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            raise
        _log.warning("the learner ended with exit code %s and is started again in %.0f s", code, RESTART_S)
        await asyncio.sleep(RESTART_S)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
