"""Prometheus' text format with labels in the order in which they are declared, as TensorFlow Serving writes them.

`prometheus_client` sorts the labels and ends every counter with `_total`: a tool that matches TensorFlow Serving's
lines literally would find none of them.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric


def expose(metrics: Iterable[Metric]) -> bytes:
    """The metrics as text, one line for each sample; metrics without samples are left out."""
    return "".join(f"{line}\n" for metric in metrics if metric.samples for line in _lines(metric)).encode()


def _lines(metric: Metric) -> Iterator[str]:
    # the name of a counter's family lacks the suffix that its samples may have
    name = metric.samples[0].name if metric.type == "counter" else metric.name
    yield f"# HELP {name} {_escaped(metric.documentation)}"
    yield f"# TYPE {name} {metric.type}"
    for sample in metric.samples:
        labels = ",".join(f'{key}="{_quoted(value)}"' for key, value in sample.labels.items())
        yield f"{sample.name}{{{labels}}} {_number(sample.value)}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else {"inf": "+Inf", "nan": "NaN"}.get(str(value), repr(value))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', r"\"")
