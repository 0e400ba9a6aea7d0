"""Prometheus metrics: TensorFlow Serving's under its names, and what foldserve alone knows."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from .core import access
from .core.engine import Engine, Load
from .core.query import ModelRef
from .core.servable import Servable, State
from .core.table import Table
from .core.telemetry import Histogram, Telemetry

T = TypeVar("T")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_THEIRS = ":tensorflow:serving:"
_SUFFIX = re.compile(rb"^(# (?:HELP|TYPE) :tensorflow:serving:\w+?)_total ", re.MULTILINE)
_API = "Predict"


class Metrics:
    """Renders what is true when it is asked."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return _SUFFIX.sub(rb"\1 ", generate_latest(self._registry))  # theirs carry no `_total`

    def collect(self) -> Iterator[Metric]:
        """Every metric; called by the registry."""
        yield from _requests(self._table.telemetry)
        known = [one for name in self._table.names() for one in self._table.status(ModelRef(name))]
        yield _states(known)
        serving = [(one, one.engine) for one in known if one.state is State.AVAILABLE]
        yield from _golden(serving)
        yield from _queues(serving)
        yield from _batches(serving)
        yield from _drift(serving)


def _requests(telemetry: Telemetry) -> Iterator[Metric]:
    requests = Metric(f"{_THEIRS}request_count", "Requests by status.", "counter")
    for (model, status), count in sorted(_allowed(telemetry.requests)):
        requests.add_sample(f"{_THEIRS}request_count", {"model_name": model, "status": status}, count)
    yield requests
    latency = HistogramMetricFamily(
        f"{_THEIRS}request_latency",
        "Microseconds of requests that were answered.",
        labels=["model_name", "API", "entrypoint"],
    )
    for (model, entrypoint), histogram in sorted(_allowed(telemetry.latency)):
        latency.add_metric([model, _API, entrypoint], _buckets(histogram), histogram.sum)
    yield latency
    runtime = HistogramMetricFamily(
        f"{_THEIRS}runtime_latency",
        "Microseconds in the queue and in the engine.",
        labels=["model_name", "API", "runtime"],
    )
    for (model, engine), histogram in sorted(_allowed(telemetry.runtime)):
        runtime.add_metric([model, _API, engine], _buckets(histogram), histogram.sum)
    yield runtime
    yield _counter("foldserve_rows", "Rows that were answered.", telemetry.rows)
    refusals = CounterMetricFamily(
        "foldserve_gate_refusals",
        "Versions that were not put, or not kept, in service.",
        labels=["model_name", "cause"],
    )
    for key, count in sorted(_allowed(telemetry.refusals)):
        refusals.add_metric(key, count)
    yield refusals


def _states(known: Iterable[Servable]) -> Metric:
    states = GaugeMetricFamily(
        "foldserve_version_state",
        "10 START, 20 LOADING, 30 AVAILABLE, 40 UNLOADING, 50 END; failed says whether END is a failure.",
        labels=["model_name", "version", "failed"],
    )
    for one in known:
        states.add_metric([one.name, str(one.version), str(one.failed).lower()], int(one.state))
    return states


def _golden(serving: Iterable[tuple[Servable, Engine]]) -> Iterator[Metric]:
    labels = ["model_name", "version", "engine", "output"]
    deviation = GaugeMetricFamily(
        "foldserve_golden_deviation", "Worst deviation from the golden answers when it was loaded.", labels=labels
    )
    bound = GaugeMetricFamily("foldserve_golden_bound", "The deviation that was promised.", labels=labels)
    for one, engine in serving:
        for verdict in engine.verdicts:
            values = [one.name, str(one.version), engine.kind, verdict.output]
            deviation.add_metric(values, verdict.deviation)
            bound.add_metric(values, verdict.bound)
    yield deviation
    yield bound


def _queues(serving: Iterable[tuple[Servable, Engine]]) -> Iterator[Metric]:
    labels = ["model_name", "version"]
    gauges = {
        "rows": GaugeMetricFamily("foldserve_queue_rows", "Rows that wait or are computed.", labels=labels),
        "bytes": GaugeMetricFamily("foldserve_queue_bytes", "Bytes that wait or are computed.", labels=labels),
        "max_rows": GaugeMetricFamily("foldserve_queue_rows_limit", "Rows that may.", labels=labels),
        "max_bytes": GaugeMetricFamily("foldserve_queue_bytes_limit", "Bytes that may.", labels=labels),
    }
    restarts = CounterMetricFamily("foldserve_engine_restarts", "Crashes after which it was started.", labels=labels)
    for one, engine in serving:
        load = engine.load
        for name, gauge in gauges.items():
            gauge.add_metric([one.name, str(one.version)], getattr(load, name))
        restarts.add_metric([one.name, str(one.version)], load.restarts)
    yield from gauges.values()
    yield restarts


def _batches(serving: Iterable[tuple[Servable, Engine]]) -> Iterator[Metric]:
    session = f"{_THEIRS}batching_session:"
    labels = ["model_name", "version"]
    sizes = HistogramMetricFamily(f"{session}processed_batch_size", "Rows of a batch, padding included.", labels=labels)
    waits = HistogramMetricFamily(
        f"{session}queuing_latency", "Microseconds from a request's arrival at the engine to its batch.", labels=labels
    )
    padding = CounterMetricFamily("foldserve_batch_padding_rows", "Rows that were added as padding.", labels=labels)
    filled = CounterMetricFamily("foldserve_batch_rows", "Rows in batches that were not padding.", labels=labels)
    for one, engine in serving:
        values = [one.name, str(one.version)]
        load: Load = engine.load
        sizes.add_metric(values, _buckets(load.sizes), load.sizes.sum)
        waits.add_metric(values, _buckets(load.waits), load.waits.sum)
        padding.add_metric(values, load.padding)
        filled.add_metric(values, load.sizes.sum - load.padding)
    yield from (sizes, waits, padding, filled)


def _drift(serving: Iterable[tuple[Servable, Engine]]) -> Iterator[Metric]:
    labels = ["model_name", "version", "engine"]
    worst = GaugeMetricFamily(
        "foldserve_shadow_deviation",
        "Worst deviation of the shadow engine's answers from those that callers got.",
        labels=[*labels, "output"],
    )
    bound = GaugeMetricFamily("foldserve_shadow_bound", "The deviation that was promised.", labels=[*labels, "output"])
    shown = CounterMetricFamily(
        "foldserve_shadow_requests", "Requests that were to be shown to the shadow engine.", labels=[*labels, "outcome"]
    )
    for one, engine in serving:
        drift = engine.drift
        if drift is None:
            continue
        values = [one.name, str(one.version), drift.engine]
        for outcome in ("compared", "beyond", "failed", "skipped"):
            shown.add_metric([*values, outcome], getattr(drift, outcome))
        for output, promised in drift.bounds.items():
            worst.add_metric([*values, output], drift.worst.get(output, 0.0))
            bound.add_metric([*values, output], promised)
    yield from (worst, bound, shown)


def _counter(name: str, about: str, values: Mapping[str, int]) -> Metric:
    counter = CounterMetricFamily(name, about, labels=["model_name"])
    for model, value in sorted(values.items()):
        if not access.current().allows(model):
            continue
        counter.add_metric([model], value)
    return counter


def _allowed(values: Mapping[tuple[str, str], T]) -> list[tuple[tuple[str, str], T]]:
    """What is counted of the models that whoever asks may ask for."""
    return [(key, value) for key, value in values.items() if access.current().allows(key[0])]


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    return list(zip(bounds, (float(count) for count in accumulate(histogram.counts)), strict=True))
