"""Runs as traces: with the tracer provider of the process, and to a collector over HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, micro_backend, settings

from ace.engine import Event, RunSummary, run
from ace.engine.events import TrackerFailed
from ace.errors import ConfigError, TransientError
from ace.inference import ScriptedBackend
from ace.reporting.run_progress.event_lines import describe
from ace.reporting.run_progress.event_totals import Tally

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode


@pytest.fixture(scope="module")
def provider() -> TracerProvider:
    """The tracer provider of this process; there can be one only."""
    current = trace.get_tracer_provider()
    if not isinstance(current, TracerProvider):
        current = TracerProvider()
        trace.set_tracer_provider(current)
    return current


@pytest.fixture
def spans(provider: TracerProvider) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    processor = SimpleSpanProcessor(exporter)
    provider.add_span_processor(processor)
    yield exporter
    processor.shutdown()


@contextmanager
def collector(status: int) -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP endpoint that answers with `status`, and the bodies of its requests."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def go(folder: Path, backend: ScriptedBackend | None = None, **changes: object) -> tuple[RunSummary, list[Event]]:
    events: list[Event] = []
    work = run(settings(folder, **changes), backends=all_roles(backend or micro_backend()), listener=events.append)
    return asyncio.run(work), events


def test_each_call_is_a_span_below_the_run(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    summary, events = go(tmp_path, tracking={"otel": {}, "tags": {"team": "blue"}})
    assert not [event for event in events if isinstance(event, TrackerFailed)]
    finished = spans.get_finished_spans()
    root = next(span for span in finished if span.name == "ace test")
    assert root.attributes is not None and root.context is not None
    assert (root.attributes["ace.run"], root.attributes["ace.tag.team"]) == (summary.run, "blue")
    assert root.attributes["ace.status"] == "done"
    below = [span for span in finished if span is not root]
    assert {span.parent.span_id for span in below if span.parent} == {root.context.span_id}
    calls = [span for span in below if span.kind is SpanKind.CLIENT]
    assert len(calls) == sum(summary.calls.values())
    call = dict(calls[0].attributes or {})
    assert calls[0].name == "chat scripted"
    assert call["gen_ai.operation.name"] == "chat" and call["gen_ai.provider.name"] == "scripted"
    assert call["gen_ai.request.model"] == "scripted" and call["gen_ai.response.finish_reasons"] == ("stop",)
    tokens = [span.attributes["gen_ai.usage.input_tokens"] for span in calls if span.attributes]
    assert sum(int(str(number)) for number in tokens) == sum(role.prompt for role in summary.tokens.values())
    assert {span.name for span in below} >= {"batch 1", "batch 3", "evaluation before", "evaluation after"}
    assert all(span.end_time is not None and span.start_time is not None for span in finished)


def test_no_text_of_a_prompt_or_an_answer_is_in_a_span(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    backend = micro_backend()
    go(tmp_path, backend, tracking={"otel": {}})
    values = {str(value) for span in spans.get_finished_spans() for value in (span.attributes or {}).values()}
    texts = {message.content for request in backend.requests for message in request.messages}
    assert not values & texts
    assert max(map(len, values)) < 100


def test_a_failed_call_is_an_error_span(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    def refuse(request: object) -> str:
        raise TransientError("the server is busy")

    go(tmp_path, ScriptedBackend(refuse), mode="evaluate", tracking={"otel": {}})
    failed = [span for span in spans.get_finished_spans() if span.kind is SpanKind.CLIENT]
    assert len(failed) == 4
    assert {span.status.status_code for span in failed} == {StatusCode.ERROR}
    assert {(span.attributes or {})["error.type"] for span in failed} == {"TransientError"}


def test_spans_reach_a_collector_over_http(tmp_path: Path) -> None:
    with collector(200) as (url, bodies):
        summary, _ = go(tmp_path, tracking={"otel": {"endpoint": url, "service": "nightly"}})
    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    resources = [resource for request in requests for resource in request.resource_spans]
    services = {
        item.value.string_value for r in resources for item in r.resource.attributes if item.key == "service.name"
    }
    assert services == {"nightly"}
    names = [span.name for r in resources for scope in r.scope_spans for span in scope.spans]
    assert names.count("chat scripted") == sum(summary.calls.values())


def test_a_collector_that_refuses_disturbs_nothing(tmp_path: Path) -> None:
    with collector(400) as (url, _):
        summary, events = go(tmp_path, tracking={"otel": {"endpoint": url}})
    assert (summary.status, summary.accuracy_after) == ("done", 1.0)
    failures = [event for event in events if isinstance(event, TrackerFailed)]
    assert failures and all(event.tracker == "otel" and "did not take" in event.error for event in failures)
    assert "tracker otel failed, the run goes on" in str(describe(failures[0], Tally()))


@pytest.mark.parametrize(
    ("tracking", "message"),
    [
        ({"otel": {"endpoint": "localhost:4318"}}, "tracking.otel.endpoint"),
        ({"otel": {"endpoint": "https://me:secret@host/v1/traces"}}, "OTEL_EXPORTER_OTLP_HEADERS"),
        ({"mlflow": {"uri": "mlruns"}}, "tracking.mlflow.uri"),
        ({"mlflow": {"uri": "https://me:secret@host"}}, "MLFLOW_TRACKING_PASSWORD"),
        ({"wandb": {"mode": "of"}}, "tracking.wandb.mode"),
        ({"neptune": {}}, "tracking has mlflow, wandb, otel"),
    ],
)
def test_wrong_settings_are_refused_by_key(tmp_path: Path, tracking: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        settings(tmp_path, tracking=tracking)
    assert "secret" not in str(caught.value)


def test_tracking_is_no_part_of_what_identifies_a_run(tmp_path: Path) -> None:
    assert settings(tmp_path, tracking={"otel": {}}).digest == settings(tmp_path).digest
