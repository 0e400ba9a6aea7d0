"""Servicer of tensorflow.serving.PredictionService."""

from collections.abc import Mapping
from typing import Any

from foldserve_contract.protos.methods import PREDICTION_METHODS, PREDICTION_SERVICE
from foldserve_contract.wire.read import ReceivedRequest, read_request

from ..metrics.request_metrics import RequestMetrics
from ..models.routing_table import RoutingTable
from ..predict.classify_regress import ClassifyRegressHandler
from ..predict.handler import Clock, PredictHandler
from ..security.admission import AdmissionGate
from . import metadata, predict_messages
from .classify_regress_service import ClassifyRegressServicer
from .endpoint import Codec, Handlers, Ingress, ModelNameGetter, service_handler


def _model_name(request: Any) -> str:
    return str(request.model_spec.name)


def _first_model_name(request: Any) -> str:
    return _model_name(request.tasks[0]) if request.tasks else ""


_MODEL_NAMES: Mapping[str, ModelNameGetter] = {
    "Predict": lambda received: _model_name(received.message),
    "Classify": _model_name,
    "Regress": _model_name,
    "MultiInference": _first_model_name,
}


class PredictionServicer:
    """Answers Predict, GetModelMetadata, Classify, Regress and MultiInference."""

    def __init__(
        self, table: RoutingTable, predictor: PredictHandler, clock: Clock, max_bytes: int, typed: bool
    ) -> None:
        self._table = table
        self._predictor = predictor
        self._clock = clock
        self._max_bytes = max_bytes
        self._typed = typed
        self._classify_regress = ClassifyRegressServicer(
            table, ClassifyRegressHandler(table, predictor, max_bytes), self._deadline
        )

    async def predict(self, request: ReceivedRequest, context: Any) -> bytes:
        """PredictRequest to PredictResponse; arrays are read from and written to the bytes that gRPC carries."""
        query = predict_messages.query(request, self._deadline(context), self._max_bytes)
        return predict_messages.response(query, await self._predictor.predict(query), self._typed)

    async def get_model_metadata(self, request: Any, context: Any) -> Any:
        """GetModelMetadataRequest to GetModelMetadataResponse."""
        ref = predict_messages.model_ref(request)
        metadata.check_fields(request.metadata_field)
        servable = self._table.find(ref)
        return metadata.describe(servable.name, servable.version, servable.engine.info.manifest)

    def _deadline(self, context: Any) -> int | None:
        remaining = context.time_remaining()
        return None if remaining is None else self._clock() + int(remaining * 1e9)

    def handlers(self, admission_gate: AdmissionGate, request_metrics: RequestMetrics) -> Handlers:
        """The handlers that gRPC dispatches to."""
        methods = {
            "Predict": self.predict,
            "GetModelMetadata": self.get_model_metadata,
            "Classify": self._classify_regress.classify,
            "Regress": self._classify_regress.regress,
            "MultiInference": self._classify_regress.multi_inference,
        }
        codecs = {"Predict": Codec(read_request, bytes)}
        ingress = Ingress(admission_gate, request_metrics, _MODEL_NAMES)
        return service_handler(PREDICTION_SERVICE, PREDICTION_METHODS, methods, ingress, codecs)
