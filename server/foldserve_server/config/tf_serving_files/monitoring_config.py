"""TensorFlow Serving's MonitoringConfig: the path of the metrics for Prometheus."""

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
    """The path of the metrics in a `--monitoring_config_file`; None for none.

    Raises:
        CannotStart: It cannot be read, or names no path.
    """
    config = read(_FLAG, path, MonitoringConfig).prometheus_config
    if config.path and not config.path.startswith("/"):
        raise CannotStart(f"--{_FLAG}: {path}: path must begin with /, received {config.path!r}")
    return (config.path or METRICS) if config.enable else None
