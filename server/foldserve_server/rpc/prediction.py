"""tensorflow.serving.PredictionService."""

from collections.abc import Mapping
from typing import Any

from foldserve_contract.protos.methods import PREDICTION_METHODS, PREDICTION_SERVICE
from foldserve_contract.wire.read import Received, read_request

from ..core.door import Door
from ..core.ledger import Ledger
from ..core.predictor import Clock, Predictor
from ..core.table import Table
from ..core.tasks import Tasks
from . import metadata, wire
from .tasks import TaskServicer
from .unary import Codec, Handlers, Naming, Reception, service


def _name(request: Any) -> str:
    return str(request.model_spec.name)


def _first_name(request: Any) -> str:
    return _name(request.tasks[0]) if request.tasks else ""


_NAMINGS: Mapping[str, Naming] = {
    "Predict": lambda received: _name(received.message),
    "Classify": _name,
    "Regress": _name,
    "MultiInference": _first_name,
}


class PredictionServicer:
    """Predict, GetModelMetadata, and Classify, Regress and MultiInference."""

    def __init__(self, table: Table, predictor: Predictor, clock: Clock, max_bytes: int, typed: bool) -> None:
        self._table = table
        self._predictor = predictor
        self._clock = clock
        self._max_bytes = max_bytes
        self._typed = typed
        self._tasks = TaskServicer(table, Tasks(table, predictor, max_bytes), self._deadline)

    async def predict(self, request: Received, context: Any) -> bytes:
        """PredictRequest to PredictResponse, both as far as possible in the bytes that gRPC carries."""
        query = wire.query(request, self._deadline(context), self._max_bytes)
        return wire.response(query, await self._predictor.predict(query), self._typed)

    async def get_model_metadata(self, request: Any, context: Any) -> Any:
        """GetModelMetadataRequest to GetModelMetadataResponse."""
        ref = wire.model_ref(request)
        metadata.check_fields(request.metadata_field)
        servable = self._table.find(ref)
        return metadata.describe(servable.name, servable.version, servable.engine.manifest)

    def _deadline(self, context: Any) -> int | None:
        remaining = context.time_remaining()
        return None if remaining is None else self._clock() + int(remaining * 1e9)

    def handlers(self, door: Door, ledger: Ledger) -> Handlers:
        """What gRPC dispatches to."""
        answers = {
            "Predict": self.predict,
            "GetModelMetadata": self.get_model_metadata,
            "Classify": self._tasks.classify,
            "Regress": self._tasks.regress,
            "MultiInference": self._tasks.multi_inference,
        }
        codecs = {"Predict": Codec(read_request, bytes)}
        return service(PREDICTION_SERVICE, PREDICTION_METHODS, answers, Reception(door, ledger, _NAMINGS), codecs)
