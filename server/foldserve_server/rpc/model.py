"""tensorflow.serving.ModelService."""

from typing import Any

import grpc

from foldserve_contract.protos import GetModelStatusResponse
from foldserve_contract.protos.methods import MODEL_METHODS, MODEL_SERVICE

from ..core.table import Table
from ..core.texts import shorten
from . import wire
from .door import Door
from .unary import Handlers, service


class ModelServicer:
    """GetModelStatus."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get_model_status(self, request: Any, context: Any) -> Any:
        """GetModelStatusRequest to GetModelStatusResponse."""
        message = GetModelStatusResponse()
        for servable in self._table.status(wire.model_ref(request)):
            status = message.model_version_status.add()
            status.version = servable.version
            status.state = int(servable.state)
            status.status.error_code = grpc.StatusCode.FAILED_PRECONDITION.value[0] if servable.failed else 0
            status.status.error_message = shorten(servable.reason)
        return message

    def handlers(self, door: Door) -> Handlers:
        """What gRPC dispatches to."""
        return service(MODEL_SERVICE, MODEL_METHODS, {"GetModelStatus": self.get_model_status}, door)
