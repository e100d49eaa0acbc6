"""Heartbeats: each replica is asked again and again whether it is there, and one that does not say so is given up."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from ace.inference.providers.ray.replica import Replica


class Heartbeat:
    """Asks the replicas that are up, four times in `limit_s`, from a thread of its own.

    A process, a machine or a network that is silent breaks no connection: Ray itself takes a minute to notice, and for
    a process that is only stopped it waits for ever. The thread also keeps this run's place in a shared engine while
    the event loop is busy or there is none.
    """

    def __init__(self, replicas: Sequence[Replica], limit_s: float) -> None:
        self._replicas, self._limit_s = replicas, limit_s
        self._unanswered: dict[Any, tuple[Replica, float]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ace-heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop asking."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._limit_s / 4):
            try:
                self._beat()
            except (RayError, ValueError):
                return  # Ray is no longer there

    def _beat(self) -> None:
        if self._unanswered:
            answered, _ = ray.wait(list(self._unanswered), num_returns=len(self._unanswered), timeout=0)
            for reference in answered:
                del self._unanswered[reference]
                with contextlib.suppress(RayError):  # the requests under way fail with it
                    ray.get(reference)
        now = time.monotonic()
        for reference, (replica, since) in list(self._unanswered.items()):
            if now - since >= self._limit_s:
                del self._unanswered[reference]
                replica.give_up()
        waiting = {replica for replica, _ in self._unanswered.values()}
        for replica in self._replicas:
            if replica.beating and replica not in waiting:
                self._unanswered[replica.beat()] = (replica, now)
