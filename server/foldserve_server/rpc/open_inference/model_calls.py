"""Methods of the Open Inference Protocol that describe and manage the server and its models."""

from collections.abc import Mapping
from typing import Any

from foldserve_contract.protos.methods import Method
from foldserve_contract.protos.open_inference import INFERENCE_METHODS

from ...errors import NotOffered
from ...models.admin import Admin
from ...models.routing_table import RoutingTable
from ...open_inference.catalogue import EXTENSIONS, ModelCatalogue, check_load
from ...open_inference.not_offered import INSTEAD, not_offered
from ...system.version import NAME, own_version
from ..endpoint import MethodHandler
from ..health import HealthServicer

_SHARED_MEMORY = tuple(f"{kind}SharedMemory{verb}" for kind in ("System", "Cuda") for verb in ("Status", "Unregister"))


class ModelCalls:
    """Answers every method but inference."""

    def __init__(self, table: RoutingTable, health: HealthServicer, admin: Admin) -> None:
        self._catalogue = ModelCatalogue(table)
        self._admin = admin
        self._health = health

    async def server_live(self, request: Any, context: Any) -> Any:
        """ServerLive: always true."""
        return _response("ServerLive", live=True)

    async def server_ready(self, request: Any, context: Any) -> Any:
        """ServerReady: the health of the server as a whole."""
        return _response("ServerReady", ready=self._health.serving)

    async def model_ready(self, request: Any, context: Any) -> Any:
        """ModelReady; an unknown model is not ready."""
        return _response("ModelReady", ready=self._catalogue.ready(request.name, request.version))

    async def server_metadata(self, request: Any, context: Any) -> Any:
        """ServerMetadata."""
        return _response("ServerMetadata", name=NAME, version=own_version(), extensions=EXTENSIONS)

    async def model_metadata(self, request: Any, context: Any) -> Any:
        """ModelMetadata."""
        return self._catalogue.metadata(request.name, request.version)

    async def model_config(self, request: Any, context: Any) -> Any:
        """ModelConfig."""
        return self._catalogue.config(request.name, request.version)

    async def model_statistics(self, request: Any, context: Any) -> Any:
        """ModelStatistics."""
        return self._catalogue.statistics(request.name, request.version)

    async def repository_index(self, request: Any, context: Any) -> Any:
        """RepositoryIndex."""
        _check_repository(request)
        return self._catalogue.index(ready_only=request.ready)

    async def load_model(self, request: Any, context: Any) -> Any:
        """RepositoryModelLoad; it takes as long as the model takes to load."""
        _check_repository(request)
        check_load(request.parameters)
        await self._admin.load(request.model_name)
        return _response("RepositoryModelLoad")

    async def unload_model(self, request: Any, context: Any) -> Any:
        """RepositoryModelUnload; requests that were admitted are still answered."""
        _check_repository(request)
        await self._admin.unload(request.model_name)
        return _response("RepositoryModelUnload")

    @property
    def handlers(self) -> Mapping[str, MethodHandler]:
        """The handlers by method."""
        offered: dict[str, MethodHandler] = {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
            "ModelConfig": self.model_config,
            "ModelStatistics": self.model_statistics,
            "RepositoryIndex": self.repository_index,
            "RepositoryModelLoad": self.load_model,
            "RepositoryModelUnload": self.unload_model,
        }
        offered |= {name: _empty_response(INFERENCE_METHODS[name]) for name in _SHARED_MEMORY}
        return offered | {name: _refusal(name, instead) for name, instead in INSTEAD.items()}


def _response(method: str, **fields: Any) -> Any:
    return INFERENCE_METHODS[method].response(**fields)


def _empty_response(method: Method) -> MethodHandler:
    """Handler of status and unregistering of shared memory, of which none is ever registered."""

    async def answer(request: Any, context: Any) -> Any:
        return method.response()

    return answer


def _refusal(method: str, instead: str) -> MethodHandler:
    async def answer(request: Any, context: Any) -> Any:
        raise not_offered(method, instead)

    return answer


def _check_repository(request: Any) -> None:
    if request.repository_name:
        raise NotOffered("'repository_name' specification is not supported")
