"""Figures of the server for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ace.inference.balancer import EndpointFigures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_OVERHEAD_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)


class ServerMetrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "ace_requests",
            "Chat completions, by client and HTTP status.",
            ("client", "status"),
            registry=self._registry,
        )
        self._by_version = Counter(
            "ace_playbook_requests", "Chat completions, by playbook version.", ("version",), registry=self._registry
        )
        self._feedback = Counter(
            "ace_feedback", "Feedback stored, by what it says.", ("outcome",), registry=self._registry
        )
        self._running = Gauge("ace_requests_running", "Chat completions under way.", registry=self._registry)
        self._versions = Gauge(
            "ace_playbook_version", "The playbook versions that are served.", ("channel",), registry=self._registry
        )
        self._endpoints = Gauge(
            "ace_endpoint_requests",
            "Requests to an endpoint, by what came of them.",
            ("endpoint", "kind"),
            registry=self._registry,
        )
        self._dropped = Gauge(
            "ace_exchanges_dropped", "Exchanges lost because the store could not be written.", registry=self._registry
        )
        self._first_byte = Histogram(
            "ace_first_byte_seconds", "Time to the upstream's headers.", buckets=_SECONDS, registry=self._registry
        )
        self._total = Histogram(
            "ace_request_seconds", "Time to the end of an answer.", buckets=_SECONDS, registry=self._registry
        )
        self._overhead = Histogram(
            "ace_overhead_seconds",
            "Time from a request's arrival to its departure to the upstream.",
            buckets=_OVERHEAD_S,
            registry=self._registry,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count a request while it is under way, and time it."""
        with self._running.track_inprogress(), self._total.time():
            yield

    def sent(self, overhead_s: float) -> None:
        """A request left for the upstream `overhead_s` after it arrived."""
        self._overhead.observe(overhead_s)

    def answered(self, client: str, status: int, version: str, first_byte_s: float) -> None:
        """The upstream's headers are there."""
        self._requests.labels(client, status).inc()
        self._by_version.labels(version).inc()
        self._first_byte.observe(first_byte_s)

    def refused(self, client: str, status: int) -> None:
        """A request was refused by us, or by nobody being there."""
        self._requests.labels(client, status).inc()

    def fed_back(self, correct: bool | None) -> None:
        """Feedback was stored."""
        self._feedback.labels({True: "right", False: "wrong", None: "unknown"}[correct]).inc()

    def render(self, endpoints: Iterable[EndpointFigures], *, stable: int, newest: int, dropped: int) -> bytes:
        """All figures in Prometheus' text format, with those of the upstream's `endpoints`."""
        for figures in endpoints:
            for name in ("answers", "failures", "limited", "openings"):
                self._endpoints.labels(figures.address, name).set(getattr(figures, name))
        self._versions.labels("stable").set(stable)
        self._versions.labels("newest").set(newest)
        self._dropped.set(dropped)
        return generate_latest(self._registry)
