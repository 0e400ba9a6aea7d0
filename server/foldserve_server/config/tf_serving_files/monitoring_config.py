"""TensorFlow Serving's MonitoringConfig: whether metrics are told to Prometheus, and where."""

from pathlib import Path

from ...errors import CannotStart
from ..transport_options import METRICS
from .message_types import BOOL, STRING, declare
from .text_format import read

_PROMETHEUS = "PrometheusConfig"
MonitoringConfig = declare(
    "MonitoringConfig",
    {"prometheus_config": (1, f"tensorflow.serving.{_PROMETHEUS}")},
    parts={_PROMETHEUS: {"enable": (1, BOOL), "path": (2, STRING)}},
)
_FLAG = "monitoring_config_file"


def read_monitoring(path: Path) -> str | None:
    """Where a `--monitoring_config_file` has the metrics; None for nowhere.

    Raises:
        CannotStart: It cannot be read, or names no path.
    """
    told = read(_FLAG, path, MonitoringConfig).prometheus_config
    if told.path and not told.path.startswith("/"):
        raise CannotStart(f"--{_FLAG}: {path}: path must begin with /, received {told.path!r}")
    return (told.path or METRICS) if told.enable else None
