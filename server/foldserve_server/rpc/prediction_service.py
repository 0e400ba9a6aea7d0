"""tensorflow.serving.PredictionService."""

from collections.abc import Mapping
from typing import Any

from foldserve_contract.protos.methods import PREDICTION_METHODS, PREDICTION_SERVICE
from foldserve_contract.wire.read import ReceivedRequest, read_request

from ..metrics.request_metrics import RequestMetrics
from ..models.table import Table
from ..predict.classify_regress import ClassifyRegressHandler
from ..predict.handler import Clock, PredictHandler
from ..security.admission import AdmissionGate
from . import metadata, predict_messages
from .classify_regress_service import ClassifyRegressServicer
from .unary import Codec, Handlers, ModelNameGetter, ServiceEntry, service_handler


def _name(request: Any) -> str:
    return str(request.model_spec.name)


def _first_name(request: Any) -> str:
    return _name(request.tasks[0]) if request.tasks else ""


_NAMINGS: Mapping[str, ModelNameGetter] = {
    "Predict": lambda received: _name(received.message),
    "Classify": _name,
    "Regress": _name,
    "MultiInference": _first_name,
}


class PredictionServicer:
    """Predict, GetModelMetadata, and Classify, Regress and MultiInference."""

    def __init__(self, table: Table, predictor: PredictHandler, clock: Clock, max_bytes: int, typed: bool) -> None:
        self._table = table
        self._predictor = predictor
        self._clock = clock
        self._max_bytes = max_bytes
        self._typed = typed
        self._tasks = ClassifyRegressServicer(
            table, ClassifyRegressHandler(table, predictor, max_bytes), self._deadline
        )

    async def predict(self, request: ReceivedRequest, context: Any) -> bytes:
        """PredictRequest to PredictResponse, both as far as possible in the bytes that gRPC carries."""
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

    def handlers(self, door: AdmissionGate, ledger: RequestMetrics) -> Handlers:
        """What gRPC dispatches to."""
        answers = {
            "Predict": self.predict,
            "GetModelMetadata": self.get_model_metadata,
            "Classify": self._tasks.classify,
            "Regress": self._tasks.regress,
            "MultiInference": self._tasks.multi_inference,
        }
        codecs = {"Predict": Codec(read_request, bytes)}
        return service_handler(
            PREDICTION_SERVICE, PREDICTION_METHODS, answers, ServiceEntry(door, ledger, _NAMINGS), codecs
        )
