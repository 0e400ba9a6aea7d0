"""Servicer of tensorflow.serving.ModelService."""

import asyncio
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import grpc

from foldserve_contract.protos import GetModelStatusResponse
from foldserve_contract.protos.methods import MODEL_METHODS, MODEL_SERVICE

from ..config.tf_serving_files.model_server_config import model_configs
from ..errors import shorten
from ..metrics.request_metrics import RequestMetrics
from ..models.admin import Admin
from ..models.routing_table import RoutingTable
from ..security.admission import AdmissionGate
from ..stats.metric_counters import MetricCounters
from . import predict_messages
from .endpoint import Handlers, Ingress, service_handler


class ModelServicer:
    """Answers GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, table: RoutingTable, admin: Admin, metric_counters: MetricCounters) -> None:
        self._table = table
        self._metric_counters = metric_counters
        self._admin = admin

    async def get_model_status(self, request: Any, context: Any) -> Any:
        """GetModelStatusRequest to GetModelStatusResponse."""
        message = GetModelStatusResponse()
        for servable in self._table.status(predict_messages.model_ref(request)):
            status = message.model_version_status.add()
            status.version = servable.version
            status.state = int(servable.state)
            status.status.error_code = grpc.StatusCode.FAILED_PRECONDITION.value[0] if servable.failed else 0
            status.status.error_message = shorten(servable.message)
        return message

    async def reload_config(self, request: Any, context: Any) -> Any:
        """ReloadConfigRequest to ReloadConfigResponse; it takes as long as the new models take to load."""
        before = await self._counters(request.metric_names)
        await self._admin.reload(model_configs(request.config), f"HandleReloadConfigRequest from {context.peer()}")
        message = MODEL_METHODS["HandleReloadConfigRequest"].response(status={})
        for name, count in (await self._counters(request.metric_names)).items():
            message.metric.add(name=name, int64_value_increase=count - before[name])
        return message

    async def _counters(self, names: Sequence[str]) -> dict[str, int]:
        """The counters' values now; the metrics' library is imported at the first call, in a thread."""
        if not names:
            return {}
        module = await asyncio.to_thread(import_module, "foldserve_server.metrics.prometheus")
        return dict(module.PrometheusMetrics(self._table, self._metric_counters).counters(names))

    def handlers(self, admission_gate: AdmissionGate, request_metrics: RequestMetrics) -> Handlers:
        """The handlers that gRPC dispatches to."""
        methods = {"GetModelStatus": self.get_model_status, "HandleReloadConfigRequest": self.reload_config}
        return service_handler(MODEL_SERVICE, MODEL_METHODS, methods, Ingress(admission_gate, request_metrics), {})
