"""What Triton tells Prometheus, under its names and with its labels, for dashboards and autoscalers made for it."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from ..models.servable import Servable
from .usage import Usage

_NAME = "nv_inference_"


def triton_metrics(serving: Iterable[Servable]) -> Iterator[Metric]:
    """Of every version that serves."""
    used = [({"model": one.name, "version": str(one.version)}, Usage.of(one)) for one in serving]
    yield _metric("request_success", "Requests that were answered.", ((labels, one.successes) for labels, one in used))
    failures = (
        ({"model": labels["model"], "reason": reason, "version": labels["version"]}, count)
        for labels, one in used
        for reason, count in one.failures.items()
    )
    yield _metric("request_failure", "Requests that were not answered.", failures)
    yield _metric("count", "Rows that were answered.", ((labels, one.rows) for labels, one in used))
    yield _metric("exec_count", "Batches that were computed.", ((labels, one.executions) for labels, one in used))
    yield from _durations(used)
    pending = ((labels, one.pending) for labels, one in used)
    yield _metric("pending_request_count", "Requests that wait for their batch.", pending, "gauge")


def _durations(used: list[tuple[dict[str, str], Usage]]) -> Iterator[Metric]:
    """What was not waiting for a batch counts as computing, as in ModelStatistics."""
    parts = {
        "request": ("from the request to its answer", [one.success_ns for _, one in used]),
        "queue": ("waiting for a batch", [one.queue_ns for _, one in used]),
        "compute_input": ("preparing inputs", [0 for _ in used]),
        "compute_infer": ("computing", [one.compute_ns for _, one in used]),
        "compute_output": ("taking outputs apart", [0 for _ in used]),
    }
    for name, (what, values) in parts.items():
        samples = ((labels, ns // 1000) for (labels, _), ns in zip(used, values, strict=True))
        yield _metric(f"{name}_duration_us", f"Microseconds {what}, of requests that were answered.", samples)


def _metric(name: str, about: str, samples: Iterable[tuple[dict[str, str], int]], kind: str = "counter") -> Metric:
    metric = Metric(f"{_NAME}{name}", about, kind)
    for labels, value in samples:
        metric.add_sample(metric.name, labels, value)
    return metric
