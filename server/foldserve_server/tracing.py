"""OpenTelemetry traces, switched on by OpenTelemetry's own environment variables."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .context.call import current_call
from .context.span import Span
from .errors import CannotStart

_VARIABLES = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NAME = "foldserve"


def tracing_requested(environment: Mapping[str, str] = os.environ) -> bool:
    """Tests whether one of OpenTelemetry's variables asks for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environment.get(name) for name in _VARIABLES)


class Tracing:
    """Writes a span for every prediction; its parent is the caller's span, where the caller sends `traceparent`."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer(_NAME)
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Tracing":
        """Builds the tracing that the environment variables describe.

        Raises:
            CannotStart: They ask for an exporter that is not installed or not offered.
        """
        exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
        protocol = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "grpc"
        if exporter not in ("otlp", "console") or protocol != "grpc":
            raise CannotStart(
                f"traces by {exporter} over {protocol} are not offered: set OTEL_TRACES_EXPORTER to otlp, console or"
                " none, and OTEL_EXPORTER_OTLP_PROTOCOL to grpc"
            )
        try:
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            span_exporter = _exporter(exporter)
        except ImportError as error:
            variables = ", ".join(name for name in _VARIABLES if environment.get(name))
            raise CannotStart(f"{variables} asks for traces, and {error}: pip install 'foldserve[otel]'") from error
        service = environment.get("OTEL_SERVICE_NAME") or _NAME
        provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}))
        provider.add_span_processor(BatchSpanProcessor(span_exporter))
        return cls(provider)

    @contextmanager
    def span(self, model: str) -> Iterator[Span]:
        """See `context.span.Tracer`."""
        call = current_call()
        parent = self._propagator.extract(dict(call.headers())) if call is not None else None
        name = f"predict {model}" if call is None else f"{call.method} {model}"
        with self._tracer.start_as_current_span(name, parent, kind=_server_kind()) as span:
            span.set_attribute("foldserve.model", model)
            if call is not None:
                span.set_attribute("foldserve.request_id", call.id)
            yield _RecordingSpan(span)

    def close(self) -> None:
        """Sends the spans that were not sent yet."""
        self._provider.shutdown()


class _RecordingSpan:
    def __init__(self, span: Any) -> None:
        self._span = span

    def served(self, version: int, rows: int) -> None:
        self._span.set_attribute("foldserve.version", version)
        self._span.set_attribute("foldserve.rows", rows)


def _server_kind() -> Any:
    from opentelemetry.trace import SpanKind

    return SpanKind.SERVER


def _exporter(name: str) -> Any:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
