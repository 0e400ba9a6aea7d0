"""Prometheus metrics, scraped as by an operator."""

import asyncio
import contextlib
import contextvars
from collections.abc import Mapping

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from foldserve_server.context.call import Call, set_call
from foldserve_server.context.rights import Rights, set_rights
from foldserve_server.errors import (
    DeadlineExceeded,
    EngineFailed,
    InvalidRequest,
    QueueFull,
    ServingError,
    Unavailable,
)
from foldserve_server.metrics.prometheus import PrometheusMetrics
from foldserve_server.metrics.request_metrics import RequestMetrics
from foldserve_server.models.model_engine import EngineLoad
from foldserve_server.models.query import InputTensor, ModelRef, Query
from foldserve_server.models.servable import Servable
from foldserve_server.predict.handler import PredictHandler
from foldserve_server.predict.request_options import RequestOptions
from foldserve_server.stats.metric_counters import Histogram
from foldserve_server.stats.shadow_deviation import Drift
from tests.server.fakes import CountedTable, FakeEngine, serving

TF_SERVING, TRITON = ":tensorflow:serving:", "nv_inference_"
Sample = tuple[str, tuple[tuple[str, str], ...]]


class Clock:
    """A clock that advances by a millisecond with every reading."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1_000_000
        return self.now


def scrape(table: CountedTable) -> dict[Sample, float]:
    text = PrometheusMetrics(table, table.metric_counters).render().decode()
    return {
        (_plain(sample.name), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _plain(name: str) -> str:
    """The name without the suffix `_total`, with which the parser ends the name of every counter."""
    return name.removesuffix("_total") if name.startswith((TF_SERVING, TRITON)) else name


def value_of(samples: Mapping[Sample, float], name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


def ask(table: CountedTable, name: str = "m", rows: int = 3, width: int = 2) -> None:
    array = np.zeros((rows, width), np.float32)
    query = Query(ModelRef(name), {"x": InputTensor("float32", array.shape, lambda: array)})
    clock = Clock()
    call = Call("GET /", dict, "predict", name)

    def answer() -> None:
        set_call(call)
        with (
            contextlib.suppress(ServingError),
            RequestMetrics(table, table.metric_counters, clock, "REST").measure(call),
        ):
            asyncio.run(PredictHandler(table, RequestOptions(), clock, table.metric_counters).predict(query))

    contextvars.copy_context().run(answer)


def test_requests_are_counted_by_model_and_status_under_tensorflow_serving_s_names() -> None:
    engine = FakeEngine()
    table = serving(engine)
    ask(table)
    ask(table)
    ask(table, width=7)
    engine.error = QueueFull("full")
    ask(table)
    for name in ("x", "y", "z"):
        ask(table, name)
    samples = scrape(table)
    counts = {
        status: value_of(samples, f"{TF_SERVING}request_count", model_name="m", status=status)
        for status in ("OK", "INVALID_ARGUMENT", "UNAVAILABLE")
    }
    assert counts == {"OK": 2, "INVALID_ARGUMENT": 1, "UNAVAILABLE": 1}
    assert value_of(samples, f"{TF_SERVING}request_count", model_name="unknown", status="NOT_FOUND") == 3, (
        "unknown names share a label"
    )
    assert value_of(samples, "foldserve_rows_total", model_name="m") == 6


def test_latencies_are_in_microseconds_and_of_answered_requests_only() -> None:
    engine = FakeEngine()
    table = serving(engine)
    ask(table)
    ask(table, width=7)
    samples = scrape(table)
    labels = {"model_name": "m", "API": "predict", "entrypoint": "REST"}
    assert value_of(samples, f"{TF_SERVING}request_latency_count", **labels) == 1
    took = value_of(samples, f"{TF_SERVING}request_latency_sum", **labels)
    assert took in (5000, 6000, 7000), "a few readings of the clock, a millisecond each"
    bounds = [float(dict(key[1])["le"]) for key in samples if key[0] == f"{TF_SERVING}request_latency_bucket"]
    assert bounds[:3] == [10, 18, 32.4] and len(bounds) == 34 and bounds[-1] == float("inf")
    assert value_of(samples, f"{TF_SERVING}runtime_latency_count", model_name="m", API="predict", runtime="fake") == 1


def test_refusals_are_counted_by_cause() -> None:
    table = serving(FakeEngine())
    for cause in ("GoldenMismatch", "GoldenMismatch", "DigestMismatch"):
        servable = Servable("m", 2)
        table.begin(servable)
        table.end(servable, "a reason", cause)
        table.metric_counters.refused("m", cause)
    samples = scrape(table)
    assert value_of(samples, "foldserve_gate_refusals_total", model_name="m", cause="GoldenMismatch") == 2
    assert value_of(samples, "foldserve_gate_refusals_total", model_name="m", cause="DigestMismatch") == 1
    assert value_of(samples, "foldserve_version_state", model_name="m", version="2", failed="true") == 50
    assert value_of(samples, "foldserve_version_state", model_name="m", version="1", failed="false") == 30


def test_a_serving_version_has_metrics_of_golden_samples_and_of_its_queue() -> None:
    engine = FakeEngine()
    sizes = Histogram((1, 2, 4), [1, 0, 2, 0], 9)
    requests, buckets = Histogram((1, 2, 4), [2, 0, 1, 0], 6), {4: Histogram((1, 2, 4), [1, 1, 0, 0], 3)}
    waits = Histogram((10.0,), [3, 1], 44.0)
    engine.load = EngineLoad(5, 640, 100, 12_800, 2, sizes, waits, padding=3, requests=requests, buckets=buckets)
    samples = scrape(serving(engine))
    labels = {"model_name": "m", "version": "1"}
    assert value_of(samples, "foldserve_golden_deviation", engine="fake", output="y", **labels) == pytest.approx(2e-7)
    assert value_of(samples, "foldserve_golden_bound", engine="fake", output="y", **labels) == pytest.approx(1e-5)
    for name, value in (("rows", 5), ("bytes", 640), ("rows_limit", 100), ("bytes_limit", 12_800)):
        assert value_of(samples, f"foldserve_queue_{name}", **labels) == value
    assert value_of(samples, "foldserve_engine_restarts_total", **labels) == 2
    session = f"{TF_SERVING}batching_session:"
    assert value_of(samples, f"{session}processed_batch_size_count", **labels) == 3
    assert value_of(samples, f"{session}processed_batch_size_bucket", le="2", **labels) == 1
    assert value_of(samples, f"{session}queuing_latency_sum", thread_pool_name="fake", **labels) == 44
    assert value_of(samples, f"{session}input_batch_size_sum", **labels) == 6
    assert value_of(samples, f"{session}padding_size_count", execution_batch_size="4", **labels) == 2
    assert value_of(samples, f"{session}padding_size_sum", execution_batch_size="4", **labels) == 3
    assert value_of(samples, "foldserve_batch_rows_total", **labels) == 6
    assert value_of(samples, "foldserve_batch_padding_rows_total", **labels) == 3


def test_results_of_a_shadow_engine_are_exposed() -> None:
    engine = FakeEngine()
    engine.drift = Drift("shadow", {"y": 1e-5})
    engine.drift.fail()
    engine.drift.skip()
    engine.drift.skip()
    engine.drift.record({"y": 0.5}, "m/1")
    samples = scrape(serving(engine))
    labels = {"model_name": "m", "version": "1", "engine": "shadow"}
    assert value_of(samples, "foldserve_shadow_deviation", output="y", **labels) == 0.5
    assert value_of(samples, "foldserve_shadow_bound", output="y", **labels) == pytest.approx(1e-5)
    counts = {"compared": 1, "beyond": 1, "failed": 1, "skipped": 2}
    for outcome, count in counts.items():
        assert value_of(samples, "foldserve_shadow_requests_total", outcome=outcome, **labels) == count


def test_the_type_of_each_metric_is_declared_under_its_own_name() -> None:
    table = serving(FakeEngine())
    ask(table)
    lines = PrometheusMetrics(table, table.metric_counters).render().decode().splitlines()
    assert f"# TYPE {TF_SERVING}request_count counter" in lines
    assert f'{TF_SERVING}request_count{{model_name="m",status="OK"}} 1' in lines
    latency = 'request_latency_count{model_name="m",API="predict",entrypoint="REST"} 1'
    assert f"{TF_SERVING}{latency}" in lines, "labels stand in the order in which TensorFlow Serving writes them"
    assert "# TYPE foldserve_rows_total counter" in lines


def test_requests_and_batches_are_counted_under_triton_s_names() -> None:
    engine = FakeEngine()
    table = serving(engine, version=7)
    ask(table)
    ask(table, rows=1)
    engine.load = EngineLoad(
        pending=5, sizes=Histogram((1, 2, 4), [1, 0, 1, 0], 4), waits=Histogram((10.0,), [2, 0], 1500.0)
    )
    samples = scrape(table)
    labels = {"model": "m", "version": "7"}
    counts = {"request_success": 2, "count": 4, "exec_count": 2, "pending_request_count": 5, "queue_duration_us": 1500}
    assert {name: value_of(samples, f"{TRITON}{name}", **labels) for name in counts} == counts
    durations = {
        name: value_of(samples, f"{TRITON}{name}_duration_us", **labels)
        for name in ("request", "compute_input", "compute_infer", "compute_output")
    }
    assert durations["request"] in range(4000, 12_001, 1000), "a few readings of the clock, a millisecond each"
    assert sum(durations.values()) == 2 * durations["request"] - 1500, (
        "all time that is not waiting counts as computing"
    )
    lines = PrometheusMetrics(table, table.metric_counters).render().decode().splitlines()
    assert "# TYPE nv_inference_count counter" in lines and "# TYPE nv_inference_pending_request_count gauge" in lines
    assert 'nv_inference_request_failure{model="m",reason="OTHER",version="7"} 0' in lines


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (QueueFull("full"), "REJECTED"),
        (DeadlineExceeded("late"), "REJECTED"),
        (asyncio.CancelledError(), "CANCELED"),
        (EngineFailed("broken"), "BACKEND"),
        (Unavailable("it crashed"), "BACKEND"),
        (InvalidRequest("wrong"), "OTHER"),
        (RuntimeError("a bug"), "OTHER"),
    ],
)
def test_failed_requests_are_counted_by_triton_s_reasons(error: BaseException, reason: str) -> None:
    table = serving(FakeEngine())
    servable = table.find(ModelRef("m"))
    servable.stats.fail(error, 3_000_000)
    samples = scrape(table)
    counts = {
        name: count
        for name in ("REJECTED", "CANCELED", "BACKEND", "OTHER")
        if (count := samples[f"{TRITON}request_failure", (("model", "m"), ("reason", name), ("version", "1"))])
    }
    assert counts == {reason: 1}
    assert servable.stats.failures == 1 and servable.stats.failure_ns == 3_000_000


def test_attempts_to_load_are_counted_where_tensorflow_counts_them() -> None:
    table = serving(FakeEngine())
    table.metric_counters.loaded("m", "/models/m/1", 2.5, 0.5)
    table.metric_counters.not_loaded("m", "/models/m/2")
    samples = scrape(table)
    loads, path = ":tensorflow:cc:saved_model:", {"model_path": "/models/m/1"}
    assert value_of(samples, f"{loads}load_attempt_count_total", status="success", **path) == 1
    assert value_of(samples, f"{loads}load_attempt_count_total", status="fail", model_path="/models/m/2") == 1
    assert value_of(samples, f"{loads}load_latency_total", **path) == 2_500_000
    assert value_of(samples, f"{TF_SERVING}model_warmup_latency_sum", status="OK", **path) == 500_000
    lines = PrometheusMetrics(table, table.metric_counters).render().decode().splitlines()
    assert f"# TYPE {loads}load_attempt_count counter" in lines, "TensorFlow's names have no suffix _total"


def test_a_token_sees_the_figures_of_its_models_alone() -> None:
    table = serving(FakeEngine())
    serving(FakeEngine(), "other", table=table)
    for name in ("m", "other"):
        ask(table, name)
        table.metric_counters.loaded(name, f"/models/{name}/1", 2.5, 0.5)

    def text() -> str:
        set_rights(Rights("reader", frozenset(["m"])))
        return PrometheusMetrics(table, table.metric_counters).render().decode()

    exposed = contextvars.copy_context().run(text)
    assert "other" not in exposed and exposed.count('"m"') > 10
