"""Prometheus metrics over HTTP, where TensorFlow Serving has them and where Triton has."""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from aiohttp import web

from ..config.transport_options import TRITON_METRICS
from ..models.table import Table
from ..stats.telemetry import Telemetry

if TYPE_CHECKING:
    from ..metrics.prometheus import PrometheusMetrics


class MetricsEndpoint:
    """Renders the metrics; their library is imported by the first who asks, in a thread."""

    def __init__(self, table: Table, telemetry: Telemetry) -> None:
        self._table = table
        self._telemetry = telemetry
        self._metrics: PrometheusMetrics | None = None

    def routes(self, path: str | None) -> list[web.RouteDef]:
        """At that path, and where everybody looks first; nowhere where there is no path."""
        return [] if path is None else [web.get(at, self.answer) for at in sorted({path, TRITON_METRICS})]

    async def answer(self, request: web.Request) -> web.Response:
        """GET."""
        module = await asyncio.to_thread(import_module, "foldserve_server.metrics.prometheus")
        if self._metrics is None:
            self._metrics = module.PrometheusMetrics(self._table, self._telemetry)
        return web.Response(body=self._metrics.render(), headers={"Content-Type": module.CONTENT_TYPE})
