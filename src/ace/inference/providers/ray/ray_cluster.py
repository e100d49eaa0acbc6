"""The connection to a Ray cluster: one for this process, shared by its pools."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ray

from ace._util.machine import available_cores
from ace.config import ModelSettings, RaySettings
from ace.errors import ConfigError, ProviderStartError

OBJECT_STORE_BYTES = 100 << 20
"""Of a cluster on this machine. Requests and answers are small, and travel without it."""

NAMESPACE = "ace"

ANSWER_S = 10.0
"""How long the head node of a cluster may take to accept a connection."""

TRIES = 3
"""Of a connection through a `ray://` client."""


@dataclass
class _Connection:
    address: str | None
    pools: int = 0
    ours: bool = True


_guard = threading.Lock()
_connection: _Connection | None = None


@contextlib.contextmanager
def connected(settings: RaySettings, engines: int) -> Iterator[None]:
    """Be connected to the cluster of `settings`, for so many `engines`; the last one that leaves disconnects.

    A cluster that the program has connected to by itself is taken as it is, and stays connected. ConfigError where
    another model of this process uses another cluster, ProviderStartError where the cluster cannot be reached.
    """
    global _connection
    with _guard:
        if _connection is None:
            _connection = _connect(settings, engines)
        elif _connection.address != settings.address:
            allowed = f"{_connection.address!r}, which another model of this process uses: a process has one cluster"
            raise ConfigError.at("ray.address", settings.address, allowed)
        _connection.pools += 1
    try:
        yield
    finally:
        with _guard:
            _connection.pools -= 1
            if _connection.pools == 0:
                if _connection.ours:
                    ray.shutdown()
                _connection = None


def has_gpus(settings: ModelSettings) -> bool:
    """Return True if replicas work on GPUs. Connected. ConfigError where they have to and this machine has too few."""
    chosen = settings.ray.device
    there = float(ray.cluster_resources().get("GPU", 0))
    if chosen == "cpu" or (chosen == "auto" and not there):
        return False
    needed = settings.gpus_per_engine * settings.ray.gpu_share * (settings.ray.min_replicas or settings.replicas)
    if settings.ray.address is None and needed > there:
        allowed = f"engines that take at most the {there:g} GPUs of this machine together, not {needed:g}"
        raise ConfigError.at("replicas", settings.replicas, allowed)
    return True


def describe_cluster() -> str:
    """The nodes of the cluster that are alive, and what they have."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    names = ("CPU", "GPU")
    nodes = [" and ".join(f"{node['Resources'].get(name, 0):g} {name}" for name in names) for node in alive]
    return f"{len(alive)} nodes ({'; '.join(nodes)})"


def _check_answers(address: str) -> None:
    """OSError where nothing listens at `address`: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()


def _join(address: str, options: Mapping[str, Any]) -> None:
    """Connect to a cluster. The head's server for a `ray://` client now and then does not start; the next one does."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(ConnectionAbortedError):
            ray.init(address=address, **options)
            return
    ray.init(address=address, **options)


def _connect(settings: RaySettings, engines: int) -> _Connection:
    if ray.is_initialized():
        return _Connection(settings.address, ours=False)
    common: dict[str, Any] = {
        "namespace": NAMESPACE,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    address = settings.address
    try:
        if address is None:
            cores = max(available_cores(), math.ceil(engines * settings.cpus))
            ray.init(
                address="local",
                num_cpus=cores,
                resources={name: amount * engines for name, amount in settings.resources.items()},
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _system_config={"worker_niceness": 0},  # 15 by default, which starves engines beside other work
                **common,
            )
        else:
            _check_answers(address)
            _join(address, common)
    except Exception as error:  # Ray has no base class for what keeps it from connecting
        where = "on this machine" if address is None else f"at {address}"
        raise ProviderStartError(
            f"no Ray cluster {where}: {type(error).__name__}: {error}",
            hint="" if address is None else "ray status --address HOST:PORT shows whether it is up",
        ) from error
    return _Connection(address)
