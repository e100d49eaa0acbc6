"""A run as a trace of OpenTelemetry: a span for each model call, batch and evaluation below that of the run.

Attributes of calls follow the semantic conventions for generative AI (`gen_ai.*`, https://opentelemetry.io/docs/specs/
semconv/gen-ai/gen-ai-spans/); what they lack is under `ace.*`. No text of a prompt or an answer is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from ace._util.extras import missing_package
from ace._util.install_commands import install_command
from ace.config import OtelSettings, RunSettings
from ace.engine.events import (
    BatchCommitted,
    BatchStarted,
    CallFailed,
    CallFinished,
    EngineReady,
    EngineStartDeferred,
    EvaluationFinished,
    EvaluationStarted,
    Event,
    RunFinished,
    RunStarted,
)


class OtelTracker:
    """Makes spans of events; their times are those of the events."""

    def __init__(self, settings: OtelSettings, run_settings: RunSettings) -> None:
        self._settings = run_settings
        self._exporter: CountingExporter | None = None
        self._own: TracerProvider | None = None
        provider = trace.get_tracer_provider()
        if settings.endpoint is not None or not isinstance(provider, TracerProvider):
            self._exporter = CountingExporter(_otlp_exporter(settings.endpoint))
            provider = self._own = TracerProvider(resource=Resource.create({"service.name": settings.service}))
            self._own.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = provider.get_tracer("ace")
        self._providers: dict[str, str] = {}
        self._run: Span | None = None
        self._batches: dict[int, Span] = {}
        self._evaluations: dict[str, Span] = {}

    def handle(self, event: Event, at: float) -> None:
        match event:
            case EngineReady(provider=provider, model=model) | EngineStartDeferred(provider=provider, model=model):
                self._providers[model] = provider
            case RunStarted(run=run, mode=mode, resumed_at=resumed_at):
                attributes = {"ace.run": run, "ace.mode": mode, "ace.resumed_at": resumed_at, **self._tags()}
                self._run = self._tracer.start_span(
                    f"ace {self._settings.name}", attributes=attributes, start_time=_ns(at)
                )
            case BatchStarted(index=index, epoch=epoch, samples=samples, playbook_version=version):
                attributes = {"ace.batch": index, "ace.epoch": epoch, "ace.samples": samples, "ace.playbook": version}
                self._batches[index] = self._start(f"batch {index + 1}", at, attributes)
            case BatchCommitted(index=index) if index in self._batches:
                span = self._batches.pop(index)
                span.set_attributes({"ace.correct_first": event.first_correct, "ace.bullets": event.bullets})
                span.end(_ns(at))
            case EvaluationStarted(label=label, samples=samples, playbook_version=version):
                attributes = {"ace.samples": samples, "ace.playbook": version}
                self._evaluations[label] = self._start(f"evaluation {label}", at, attributes)
            case EvaluationFinished(label=label, accuracy=accuracy) if label in self._evaluations:
                span = self._evaluations.pop(label)
                span.set_attribute("ace.accuracy", accuracy)
                span.end(_ns(at))
            case CallFinished(from_cache=False):
                self._add_call(event)
            case CallFailed(total_s=float(total_s)):
                self._add_failed_call(event, at, total_s)
            case RunFinished(status=status) if self._run is not None:
                self._finish(status, at)
            case _:
                pass
        if self._exporter is not None:
            self._exporter.raise_failures()

    def close(self) -> None:
        if self._own is not None and self._exporter is not None:
            self._own.shutdown()
            self._exporter.raise_failures()

    def _tags(self) -> dict[str, str]:
        return {f"ace.tag.{key}": value for key, value in self._settings.tracking.tags.items()}

    def _start(self, name: str, at: float, attributes: dict[str, Any], kind: SpanKind = SpanKind.INTERNAL) -> Span:
        parent = trace.set_span_in_context(self._run) if self._run is not None else None
        return self._tracer.start_span(name, parent, kind, attributes=attributes, start_time=_ns(at))

    def _add_call(self, call: CallFinished) -> None:
        usage, role = call.usage, self._settings.roles.of(call.role)
        attributes: dict[str, Any] = {
            **self._request(call.model, call.role),
            "gen_ai.response.model": call.model,
            "gen_ai.response.finish_reasons": (call.finish_reason,),
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
            "gen_ai.request.max_tokens": role.max_tokens,
            "ace.round": call.round,
            "ace.parsed": call.parsed,
        }
        if usage.ttft_s is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = usage.ttft_s
        if call.sample is not None:
            attributes["ace.sample"] = call.sample
        span = self._start(f"chat {call.model}", call.finished - usage.total_s, attributes, SpanKind.CLIENT)
        span.end(_ns(call.finished))

    def _add_failed_call(self, call: CallFailed, at: float, total_s: float) -> None:
        attributes = self._request(call.model, call.role) | {"error.type": call.error.partition(":")[0]}
        span = self._start(f"chat {call.model}", at - total_s, attributes, SpanKind.CLIENT)
        span.set_status(Status(StatusCode.ERROR, call.error))
        span.end(_ns(at))

    def _request(self, model: str, role: Any) -> dict[str, Any]:
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self._providers.get(model, "unknown"),
            "gen_ai.request.model": model,
            "gen_ai.output.type": "json",
            "ace.role": role,
        }

    def _finish(self, status: str, at: float) -> None:
        assert self._run is not None
        for span in (*self._batches.values(), *self._evaluations.values()):
            span.end(_ns(at))
        self._run.set_attribute("ace.status", status)
        if status == "failed":
            self._run.set_status(Status(StatusCode.ERROR))
        self._run.end(_ns(at))
        self._run = None


class CountingExporter(SpanExporter):  # type: ignore[misc] # Any where the package is not installed
    """Exports through another exporter, whose failures OpenTelemetry only logs."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._lost += len(spans)
        return result

    def raise_failures(self) -> None:
        """ConnectionError where spans were lost since the last call."""
        lost, self._lost = self._lost, 0
        if lost:
            raise ConnectionError(f"the collector did not take {lost} spans")

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return bool(self._inner.force_flush(timeout_millis))


def _otlp_exporter(endpoint: str | None) -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        package = "opentelemetry-exporter-otlp-proto-http"
        raise missing_package(
            "tracking.otel needs", package, provider="otel", command=install_command("otel")
        ) from error
    return OTLPSpanExporter(endpoint=endpoint)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
