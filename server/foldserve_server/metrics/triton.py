"""Triton's metrics under its names and with its labels, for dashboards and autoscalers that were made for it."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from ..models.servable import Servable
from .version_statistics import VersionStatistics

_NAME = "nv_inference_"


def triton_metrics(serving: Iterable[Servable]) -> Iterator[Metric]:
    """The metrics of every version that serves."""
    usages = [
        ({"model": version.name, "version": str(version.version)}, VersionStatistics.of(version)) for version in serving
    ]
    successes = ((labels, usage.successes) for labels, usage in usages)
    yield _metric("request_success", "Requests that were answered.", successes)
    failures = (
        ({"model": labels["model"], "reason": reason, "version": labels["version"]}, count)
        for labels, usage in usages
        for reason, count in usage.failures.items()
    )
    yield _metric("request_failure", "Requests that were not answered.", failures)
    yield _metric("count", "Rows that were answered.", ((labels, usage.rows) for labels, usage in usages))
    executions = ((labels, usage.executions) for labels, usage in usages)
    yield _metric("exec_count", "Batches that were computed.", executions)
    yield from _durations(usages)
    pending = ((labels, usage.pending) for labels, usage in usages)
    yield _metric("pending_request_count", "Requests that wait for their batch.", pending, "gauge")


def _durations(usages: list[tuple[dict[str, str], VersionStatistics]]) -> Iterator[Metric]:
    """The times of requests by part; all time that is not spent waiting counts as computing, as in ModelStatistics."""
    parts = {
        "request": ("from the request to its answer", [usage.success_ns for _, usage in usages]),
        "queue": ("waiting for a batch", [usage.queue_ns for _, usage in usages]),
        "compute_input": ("preparing inputs", [0 for _ in usages]),
        "compute_infer": ("computing", [usage.compute_ns for _, usage in usages]),
        "compute_output": ("taking outputs apart", [0 for _ in usages]),
    }
    for name, (what, values) in parts.items():
        samples = ((labels, ns // 1000) for (labels, _), ns in zip(usages, values, strict=True))
        yield _metric(f"{name}_duration_us", f"Microseconds {what}, of requests that were answered.", samples)


def _metric(name: str, about: str, samples: Iterable[tuple[dict[str, str], int]], kind: str = "counter") -> Metric:
    metric = Metric(f"{_NAME}{name}", about, kind)
    for labels, value in samples:
        metric.add_sample(metric.name, labels, value)
    return metric
