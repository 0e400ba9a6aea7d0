"""What is known of the models, as Triton tells it."""

from collections.abc import Iterable
from typing import Any

from ..errors import NotOffered, ServingError
from ..models.query import ModelRef
from ..models.servable import Servable, ServableState
from ..models.table import Table
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
    """Answers what is asked of models, but for inference; in the protocol's messages."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def ready(self, name: str, version: str = "") -> bool:
        """Whether a version, or any, answers; one that is not known does not."""
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
            found = find(self._table, model_ref(name, version))
            if version:
                return descriptions.statistics([found])
            names = [name]
        return descriptions.statistics(servable for name in names for servable in self._serving(name))

    def index(self, *, ready_only: bool) -> Any:
        """The RepositoryIndexResponse."""
        known = (servable for name in self._table.names() for servable in self._table.status(ModelRef(name)))
        return descriptions.index(known, ready_only=ready_only)

    def _serving(self, name: str) -> list[Servable]:
        return [
            servable for servable in self._table.status(ModelRef(name)) if servable.state is ServableState.AVAILABLE
        ]


def check_load(parameters: Iterable[str]) -> None:
    """Raises NotOffered where a request to load a model brings it along."""
    if any(key == "config" or key.startswith("file:") for key in parameters):
        raise NotOffered("a model is loaded from its bundle alone: neither a configuration nor files can be sent")
