"""Warm engines as a table."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ace.inference.serving.remote.wire_protocol import Handshake
from ace.reporting.text import UNKNOWN, cell, seconds


def engines_view(engines: Sequence[Handshake]) -> RenderableType:
    """One line an engine; `clients` are the runs that hold it now, `memory` is that of its whole process."""
    if not engines:
        return Text("no engine is warm; ace serve-engine CONFIG starts one")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("model", "provider", "device", "pid", "warm for", "calls", "clients", "memory"):
        table.add_column(name)
    for hello in engines:
        table.add_row(
            cell(hello.info.model, limit=60),
            hello.info.provider,
            cell(hello.info.device),
            str(hello.pid),
            seconds(time.time() - hello.since),
            str(hello.calls),
            str(hello.clients - 1),  # we are one
            f"{hello.memory / 2**20:.0f} MiB" if hello.memory else UNKNOWN,
        )
    return table
