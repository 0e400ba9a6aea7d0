"""Endpoint of the Prometheus metrics, at TensorFlow Serving's path and at Triton's."""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from aiohttp import web

from ..config.transport_options import TRITON_METRICS
from ..models.routing_table import RoutingTable
from ..stats.metric_counters import MetricCounters

if TYPE_CHECKING:
    from ..metrics.prometheus import PrometheusMetrics


class MetricsEndpoint:
    """Renders the metrics; their library is imported at the first request, in a thread."""

    def __init__(self, table: RoutingTable, metric_counters: MetricCounters) -> None:
        self._table = table
        self._metric_counters = metric_counters
        self._metrics: PrometheusMetrics | None = None

    def routes(self, path: str | None) -> list[web.RouteDef]:
        """The routes of the configured path and of Triton's default path; none without a path."""
        return [] if path is None else [web.get(route, self.metrics) for route in sorted({path, TRITON_METRICS})]

    async def metrics(self, request: web.Request) -> web.Response:
        """The metrics in Prometheus' text format."""
        module = await asyncio.to_thread(import_module, "foldserve_server.metrics.prometheus")
        if self._metrics is None:
            self._metrics = module.PrometheusMetrics(self._table, self._metric_counters)
        return web.Response(body=self._metrics.render(), headers={"Content-Type": module.CONTENT_TYPE})
