"""Traces and logs of calls."""

import json
import logging
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from foldserve_server.errors import CannotStart, EngineFailed
from foldserve_server.system.log import TEXT, JsonFormatter, TextFormatter
from foldserve_server.tracing import Tracing, tracing_requested
from tests.server.fakes import FakeEngine, serving
from tests.server.rpc.calls import listening, predict_request

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
METADATA = (("traceparent", f"00-{TRACE}-{PARENT}-01"), ("x-request-id", "order-66"))


async def test_every_prediction_is_a_span_below_its_caller_s() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing, table = Tracing(provider), serving(FakeEngine())
    table.tracer = tracing.span
    async with listening(table) as caller:
        multi = caller.channel.unary_unary("/tensorflow.serving.PredictionService/Predict", None, None)
        await multi(predict_request().SerializeToString(), metadata=METADATA)
        await caller.failure("Predict", predict_request("other"))
    tracing.close()
    answered, failed = exporter.get_finished_spans()
    assert answered.name == "tensorflow.serving.PredictionService/Predict m"
    assert answered.attributes == {
        "foldserve.model": "m",
        "foldserve.request_id": "order-66",
        "foldserve.version": 1,
        "foldserve.rows": 3,
    }
    assert answered.parent is not None and f"{answered.parent.span_id:016x}" == PARENT
    assert f"{answered.context.trace_id:032x}" == TRACE
    assert failed.status.is_ok is False and failed.parent is None


@pytest.mark.parametrize(
    ("environment", "requested"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4317"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4317"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4317"}, False),
    ],
)
def test_traces_are_on_where_opentelemetry_s_own_variables_request_them(
    environment: dict[str, str], requested: bool
) -> None:
    assert tracing_requested(environment) is requested


@pytest.mark.parametrize(
    "environment", [{"OTEL_TRACES_EXPORTER": "zipkin"}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}]
)
def test_an_exporter_that_is_not_offered_keeps_the_server_from_starting(environment: dict[str, str]) -> None:
    with pytest.raises(CannotStart, match="are not offered"):
        Tracing.from_environment(environment)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(CannotStart, match=r"OTEL_TRACES_EXPORTER asks for traces.*pip install 'foldserve\[otel\]'"):
        Tracing.from_environment({"OTEL_TRACES_EXPORTER": "console"})


class Lines(logging.Handler):
    """Keeps the log's lines, formatted at once, as a handler does."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(JsonFormatter().format(record))
        self.texts.append(TextFormatter(TEXT).format(record))


async def test_log_lines_about_a_call_carry_its_id() -> None:
    engine = FakeEngine()
    engine.error = EngineFailed("it is broken")
    lines = Lines()
    logging.getLogger("foldserve_server").addHandler(lines)

    try:
        async with listening(serving(engine)) as caller:
            multi = caller.channel.unary_unary("/tensorflow.serving.PredictionService/Predict", None, None)
            for metadata in (METADATA, ()):
                with pytest.raises(Exception, match="INTERNAL"):
                    await multi(predict_request().SerializeToString(), metadata=metadata)
    finally:
        logging.getLogger("foldserve_server").removeHandler(lines)
    entries = [json.loads(line) for line in lines.lines if "it is broken" in line]
    assert [entry["method"] for entry in entries] == ["tensorflow.serving.PredictionService/Predict"] * 2
    assert entries[0]["request"] == "order-66" and len(entries[1]["request"]) == 16
    assert lines.texts[0].endswith("[request order-66]")


def test_log_lines_about_a_version_have_fields_for_it() -> None:
    record = logging.LogRecord("name", logging.ERROR, "", 0, "refused", (), None)
    record.model, record.version, record.cause = "m", 3, "GoldenMismatch"
    entry = json.loads(JsonFormatter().format(record))
    assert (entry["model"], entry["version"], entry["cause"]) == ("m", 3, "GoldenMismatch")
    assert "request" not in entry
