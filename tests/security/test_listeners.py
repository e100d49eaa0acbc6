"""A run without an engine in the process opens no port, and reaches nothing but its endpoint."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
from micro_runs import all_roles, micro_backend, settings

from ace.engine import run
from ace.engine.events import Event


def test_a_run_listens_nowhere(tmp_path: Path) -> None:
    process = psutil.Process()
    before = {c.laddr for c in process.net_connections("inet")}
    seen: set[object] = set()

    def look(event: Event) -> None:
        seen.update(c.laddr for c in process.net_connections("inet"))

    asyncio.run(run(settings(tmp_path), backends=all_roles(micro_backend()), listener=look))
    assert seen <= before
