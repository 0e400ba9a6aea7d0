"""tensorflow.serving.ModelService."""

from typing import Any

import grpc

from foldserve_contract.protos import GetModelStatusResponse
from foldserve_contract.protos.methods import MODEL_METHODS, MODEL_SERVICE

from ..core.admin import Admin
from ..core.door import Door
from ..core.ledger import Ledger
from ..core.table import Table
from ..core.texts import shorten
from ..textproto.models import model_configs
from . import wire
from .unary import Handlers, Reception, service


class ModelServicer:
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, table: Table, admin: Admin) -> None:
        self._table = table
        self._admin = admin

    async def get_model_status(self, request: Any, context: Any) -> Any:
        """GetModelStatusRequest to GetModelStatusResponse."""
        message = GetModelStatusResponse()
        for servable in self._table.status(wire.model_ref(request)):
            status = message.model_version_status.add()
            status.version = servable.version
            status.state = int(servable.state)
            status.status.error_code = grpc.StatusCode.FAILED_PRECONDITION.value[0] if servable.failed else 0
            status.status.error_message = shorten(servable.message)
        return message

    async def reload_config(self, request: Any, context: Any) -> Any:
        """ReloadConfigRequest to ReloadConfigResponse; it takes as long as the new models take to load."""
        await self._admin.reload(model_configs(request.config), f"HandleReloadConfigRequest from {context.peer()}")
        return MODEL_METHODS["HandleReloadConfigRequest"].response(status={})

    def handlers(self, door: Door, ledger: Ledger) -> Handlers:
        """What gRPC dispatches to."""
        answers = {"GetModelStatus": self.get_model_status, "HandleReloadConfigRequest": self.reload_config}
        return service(MODEL_SERVICE, MODEL_METHODS, answers, Reception(door, ledger), {})
