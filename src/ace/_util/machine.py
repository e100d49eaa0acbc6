"""Facts about this machine."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Processor cores that this process may run on: fewer than the machine's in a container or under `taskset`."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
