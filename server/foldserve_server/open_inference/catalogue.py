"""Catalogue of the models: readiness, metadata, configuration, statistics, index, in Triton's messages."""

from collections.abc import Iterable
from typing import Any

from ..errors import NotOffered, ServingError
from ..models.query import ModelRef
from ..models.routing_table import RoutingTable
from ..models.servable import Servable, ServableState
from . import descriptions
from .model_lookup import find, model_ref

EXTENSIONS = (
    "classification",
    "model_repository",
    "model_repository(unload_dependents)",
    "model_configuration",
    "statistics",
    "binary_tensor_data",
)


class ModelCatalogue:
    """Describes the models of a table in the protocol's messages."""

    def __init__(self, table: RoutingTable) -> None:
        self._table = table

    def ready(self, name: str, version: str = "") -> bool:
        """Tests whether a version, or the latest, is available; False for an unknown one."""
        ref = model_ref(name, version)
        try:
            return find(self._table, ref).available
        except ServingError:
            return False

    def metadata(self, name: str, version: str = "") -> Any:
        """The ModelMetadataResponse."""
        servable = find(self._table, model_ref(name, version))
        return descriptions.metadata(servable, [other.version for other in self._serving(servable.name)])

    def config(self, name: str, version: str = "") -> Any:
        """The ModelConfigResponse."""
        servable = find(self._table, model_ref(name, version))
        return descriptions.config(servable, self._table.policy(servable.name))

    def statistics(self, name: str = "", version: str = "") -> Any:
        """The ModelStatisticsResponse: of one version, of every version of a model, or of all."""
        names = self._table.names()
        if name:
            servable = find(self._table, model_ref(name, version))
            if version:
                return descriptions.statistics([servable])
            names = [name]
        return descriptions.statistics(servable for name in names for servable in self._serving(name))

    def index(self, *, ready_only: bool) -> Any:
        """The RepositoryIndexResponse."""
        servables = (servable for name in self._table.names() for servable in self._table.status(ModelRef(name)))
        return descriptions.index(servables, ready_only=ready_only)

    def _serving(self, name: str) -> list[Servable]:
        return [
            servable for servable in self._table.status(ModelRef(name)) if servable.state is ServableState.AVAILABLE
        ]


def check_load(parameters: Iterable[str]) -> None:
    """Raises NotOffered where a request to load a model contains its configuration or files."""
    if any(key == "config" or key.startswith("file:") for key in parameters):
        raise NotOffered("a model is loaded from its bundle alone: neither a configuration nor files can be sent")
