"""From settings to engines side by side, all of them starting at once."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial

from ace.config import ModelSettings
from ace.errors import ProviderStartError
from ace.inference.backend import Backend
from ace.inference.serving.remote.wire_protocol import Start
from ace.inference.serving.replicas.child_backend import PROGRAM, Child
from ace.inference.serving.replicas.placement import Placement
from ace.inference.serving.replicas.replicated_backend import ReplicatedBackend
from ace.inference.wrappers.supervisor import Starting, first_then


def start_replicas(
    settings: ModelSettings,
    provider: str,
    reason: str,
    *,
    share: float = 1.0,
    supervised: Callable[[Starting], Backend],
    program: str = PROGRAM,
) -> ReplicatedBackend:
    """Start `settings.replicas` engines, each in a process of its own, and wait until all are up.

    `supervised` calls what it is given to start an engine, and again when that has died. `share` is the part of a
    device's memory that all engines on it may take; `program` is the module that each process runs.
    Raises what starting one raises, and then leaves none behind.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise ProviderStartError("engines side by side need Unix sockets, which this system does not have")
    children: list[Child] = []

    def start(placement: Placement) -> Child:
        utilization = settings.gpu_memory_utilization
        part = {"gpu_memory_utilization": None if utilization is None else utilization * placement.share}
        one = settings.model_copy(update={"replicas": 1, "warm": False, **part})
        return Child(Start(one, provider, reason, share * placement.share), placement.environment, program)

    try:
        backends = []
        placements = [Placement.of(settings, number) for number in range(settings.replicas)]
        children.extend(map(start, placements))
        for child, placement in zip(children, placements, strict=True):
            backends.append(supervised(first_then(child.backend, partial(_another, start, placement))))
        return ReplicatedBackend(backends)
    except BaseException:  # Ctrl-C too
        for child in children:
            child.end()
        raise


def _another(start: Callable[[Placement], Child], placement: Placement) -> Backend:
    return start(placement).backend()
