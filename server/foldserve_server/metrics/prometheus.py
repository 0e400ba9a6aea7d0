"""Prometheus metrics: TensorFlow Serving's and Triton's under their names, and foldserve's own."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ..context.rights import current_rights
from ..models.model_engine import EngineLoad, ModelEngine
from ..models.query import ModelRef
from ..models.routing_table import RoutingTable
from ..models.servable import Servable, ServableState
from ..stats.metric_counters import Histogram, MetricCounters
from .exposition import expose
from .triton import triton_metrics

T = TypeVar("T")
K = TypeVar("K", bound=tuple[str, ...])
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TF_SERVING = ":tensorflow:serving:"
_POOL = "thread_pool_name"  # TensorFlow Serving's label; here the engine's kind, as each engine has one thread
_LOADS = ":tensorflow:cc:saved_model:"


class PrometheusMetrics:
    """Renders the metrics as they are at the time of the call."""

    def __init__(self, table: RoutingTable, metric_counters: MetricCounters) -> None:
        self._table = table
        self._metric_counters = metric_counters
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return expose(self._collect()) + generate_latest(self._process)

    def counters(self, names: Iterable[str]) -> dict[str, int]:
        """The counter of each name, summed over all labels; 0 for an unknown name.

        TensorFlow's own names are paths (`/tensorflow/serving/request_count`); the text format writes colons instead.
        """
        exposed_names = {name: name.replace("/", ":") for name in names}
        totals: Counter[str] = Counter()
        for metric in self._collect():
            if metric.type == "counter":
                for sample in metric.samples:
                    totals[sample.name] += round(sample.value)
        return {name: totals[exposed] for name, exposed in exposed_names.items()}

    def _collect(self) -> Iterator[Metric]:
        yield from _requests(self._metric_counters)
        yield from _loads(self._metric_counters)
        servables = [servable for name in self._table.names() for servable in self._table.status(ModelRef(name))]
        yield _states(servables)
        serving = [(item, item.engine) for item in servables if item.state is ServableState.AVAILABLE]
        yield from _golden(serving)
        yield from _queues(serving)
        yield from _batches(serving)
        yield from _drift(serving)
        yield from triton_metrics(servable for servable, _ in serving)


def _requests(metric_counters: MetricCounters) -> Iterator[Metric]:
    yield _tf_serving_counter(
        "request_count", "The total number of requests.", ["model_name", "status"], metric_counters.requests
    )
    yield _histogram(
        "request_latency",
        "Distribution of wall time (in microseconds) of requests that were answered.",
        ["model_name", "API", "entrypoint"],
        metric_counters.latency,
    )
    yield _histogram(
        "runtime_latency",
        "Distribution of wall time (in microseconds) in the queue and in the engine.",
        ["model_name", "API", "runtime"],
        metric_counters.runtime,
    )
    yield _histogram("request_example_counts", "Examples of each request.", ["model"], metric_counters.examples)
    totals = {key: histogram.sum for key, histogram in metric_counters.examples.items()}
    yield _tf_serving_counter("request_example_count_total", "Examples of all requests.", ["model"], totals)
    yield _counter("foldserve_rows", "Rows that were answered.", metric_counters.rows)
    refusals = CounterMetricFamily(
        "foldserve_gate_refusals",
        "Versions that were not put, or not kept, in service.",
        labels=["model_name", "cause"],
    )
    for key, count in _allowed(metric_counters.refusals):
        refusals.add_metric(key, count)
    yield refusals


def _loads(metric_counters: MetricCounters) -> Iterator[Metric]:
    """Metrics of loading; their labels name a version by its path alone."""
    labels = ["model_path", "status"]
    attempts, took = _without_model(metric_counters.loads), _without_model(metric_counters.load_us)
    yield _scalars(f"{_LOADS}load_attempt_count", "Versions that were tried.", labels, attempts)
    yield _scalars(f"{_LOADS}load_latency", "Microseconds of loading what was then served.", labels[:1], took)
    warmups = HistogramMetricFamily(
        f"{_TF_SERVING}model_warmup_latency",
        "Distribution of wall time (in microseconds) for warming up the model.",
        labels=labels,
    )
    for (_, path), histogram in _allowed(metric_counters.warmups):
        warmups.add_metric([path, "OK"], _buckets(histogram), histogram.sum)
    yield warmups


def _states(servables: Iterable[Servable]) -> Metric:
    states = GaugeMetricFamily(
        "foldserve_version_state",
        "10 START, 20 LOADING, 30 AVAILABLE, 40 UNLOADING, 50 END; failed says whether END is a failure.",
        labels=["model_name", "version", "failed"],
    )
    for servable in servables:
        states.add_metric([servable.name, str(servable.version), str(servable.failed).lower()], int(servable.state))
    return states


def _golden(serving: Iterable[tuple[Servable, ModelEngine]]) -> Iterator[Metric]:
    labels = ["model_name", "version", "engine", "output"]
    deviation = GaugeMetricFamily(
        "foldserve_golden_deviation", "Worst deviation from the golden answers when it was loaded.", labels=labels
    )
    bound = GaugeMetricFamily("foldserve_golden_bound", "The deviation that was promised.", labels=labels)
    for servable, engine in serving:
        for verdict in engine.info.verdicts:
            values = [servable.name, str(servable.version), engine.info.kind, verdict.output]
            deviation.add_metric(values, verdict.deviation)
            bound.add_metric(values, verdict.bound)
    yield deviation
    yield bound


def _queues(serving: Iterable[tuple[Servable, ModelEngine]]) -> Iterator[Metric]:
    labels = ["model_name", "version"]
    gauges = {
        "rows": GaugeMetricFamily("foldserve_queue_rows", "Rows that wait or are computed.", labels=labels),
        "bytes": GaugeMetricFamily("foldserve_queue_bytes", "Bytes that wait or are computed.", labels=labels),
        "max_rows": GaugeMetricFamily("foldserve_queue_rows_limit", "Rows that may.", labels=labels),
        "max_bytes": GaugeMetricFamily("foldserve_queue_bytes_limit", "Bytes that may.", labels=labels),
    }
    restarts = CounterMetricFamily("foldserve_engine_restarts", "Crashes after which it was started.", labels=labels)
    for servable, engine in serving:
        load = engine.load
        for name, gauge in gauges.items():
            gauge.add_metric([servable.name, str(servable.version)], getattr(load, name))
        restarts.add_metric([servable.name, str(servable.version)], load.restarts)
    yield from gauges.values()
    yield restarts


def _batches(serving: Iterable[tuple[Servable, ModelEngine]]) -> Iterator[Metric]:
    labels = ["model_name", "version"]
    requests = _session("input_batch_size", "Rows of a request.", labels)
    sizes = _session("processed_batch_size", "Rows of a batch, padding included.", labels)
    waits = _session(
        "queuing_latency", "Microseconds from a request's arrival at its engine to its batch.", [_POOL, *labels]
    )
    buckets = _session("padding_size", "Rows added to the batches of one size.", ["execution_batch_size", *labels])
    padding = CounterMetricFamily("foldserve_batch_padding_rows", "Rows that were added as padding.", labels=labels)
    filled = CounterMetricFamily("foldserve_batch_rows", "Rows in batches that were not padding.", labels=labels)
    for servable, engine in serving:
        values = [servable.name, str(servable.version)]
        load: EngineLoad = engine.load
        requests.add_metric(values, _buckets(load.requests), load.requests.sum)
        sizes.add_metric(values, _buckets(load.sizes), load.sizes.sum)
        waits.add_metric([engine.info.kind, *values], _buckets(load.waits), load.waits.sum)
        for size, added in load.buckets.items():
            buckets.add_metric([str(size), *values], _buckets(added), added.sum)
        padding.add_metric(values, load.padding)
        filled.add_metric(values, load.sizes.sum - load.padding)
    yield from (requests, sizes, waits, buckets, padding, filled)


def _session(name: str, about: str, labels: list[str]) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"{_TF_SERVING}batching_session:{name}", about, labels=labels)


def _drift(serving: Iterable[tuple[Servable, ModelEngine]]) -> Iterator[Metric]:
    labels = ["model_name", "version", "engine"]
    worst = GaugeMetricFamily(
        "foldserve_shadow_deviation",
        "Worst deviation of the shadow engine's answers from those that callers got.",
        labels=[*labels, "output"],
    )
    bound = GaugeMetricFamily("foldserve_shadow_bound", "The deviation that was promised.", labels=[*labels, "output"])
    mirrored = CounterMetricFamily(
        "foldserve_shadow_requests", "Requests that were to be shown to the shadow engine.", labels=[*labels, "outcome"]
    )
    for servable, engine in serving:
        drift = engine.drift
        if drift is None:
            continue
        values = [servable.name, str(servable.version), drift.engine]
        for outcome in ("compared", "beyond", "failed", "skipped"):
            mirrored.add_metric([*values, outcome], getattr(drift, outcome))
        for output, promised in drift.bounds.items():
            worst.add_metric([*values, output], drift.worst.get(output, 0.0))
            bound.add_metric([*values, output], promised)
    yield from (worst, bound, mirrored)


def _tf_serving_counter(name: str, about: str, labels: list[str], values: Mapping[K, float]) -> Metric:
    allowed = _allowed(values)
    return _scalars(f"{_TF_SERVING}{name}", about, labels, allowed)


def _scalars(name: str, about: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    """A counter under TensorFlow's name, which has no suffix `_total`."""
    counter = Metric(name, about, "counter")
    for key, value in values:
        counter.add_sample(name, dict(zip(labels, key, strict=True)), value)
    return counter


def _histogram(name: str, about: str, labels: list[str], values: Mapping[K, Histogram]) -> Metric:
    histograms = HistogramMetricFamily(f"{_TF_SERVING}{name}", about, labels=labels)
    for key, histogram in _allowed(values):
        histograms.add_metric(key, _buckets(histogram), histogram.sum)
    return histograms


def _counter(name: str, about: str, values: Mapping[str, int]) -> Metric:
    counter = CounterMetricFamily(name, about, labels=["model_name"])
    for model, value in sorted(values.items()):
        if current_rights().allows(model):
            counter.add_metric([model], value)
    return counter


def _without_model(values: Mapping[K, T]) -> list[tuple[tuple[str, ...], T]]:
    return [(key[1:], value) for key, value in _allowed(values)]


def _allowed(values: Mapping[K, T]) -> list[tuple[K, T]]:
    """The entries of the models that the caller has rights to; each key begins with the model's name."""
    return [(key, values[key]) for key in sorted(values) if current_rights().allows(key[0])]


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    return list(zip(bounds, (float(count) for count in accumulate(histogram.counts)), strict=True))
