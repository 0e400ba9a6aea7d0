"""Lookup of the version that a request names, with Triton's messages where it is not found."""

from foldserve_contract.repository import MAX_VERSION

from ..errors import InvalidRequest, ServableNotFound, Unavailable
from ..models.query import ModelRef
from ..models.routing_table import RoutingTable
from ..models.servable import Servable

_LONGEST = 100  # digits, most of them zeros


def model_ref(name: str, version: str) -> ModelRef:
    """The reference to a model; an empty version is the latest.

    Raises:
        InvalidRequest: The version is not a number.
    """
    if not version:
        return ModelRef(name)
    if not version.isascii() or not version.isdigit() or len(version) > _LONGEST or int(version) > MAX_VERSION:
        raise InvalidRequest(
            f"failed to get model version from specified version string '{version:.100}',"
            " version should be an integral value > 0"
        )
    return ModelRef(name, int(version))


def find(table: RoutingTable, ref: ModelRef) -> Servable:
    """Finds the version that answers.

    Raises:
        ServableNotFound: The table has no such model or version, or no version of the model serves.
        Unavailable: The table has that version, and it does not serve.
    """
    try:
        servable = table.find(ref)
    except (InvalidRequest, ServableNotFound):
        raise _missing(table, ref) from None
    if ref.version not in (None, servable.version):  # version 0, which means the default in TensorFlow Serving
        raise _missing(table, ref)
    return servable


def _missing(table: RoutingTable, ref: ModelRef) -> Exception:
    try:
        servables = table.status(ModelRef(ref.name))
    except ServableNotFound:
        return ServableNotFound(f"Request for unknown model: '{ref.name}' is not found")
    if ref.version is None:
        return ServableNotFound(f"Request for unknown model: '{ref.name}' has no available versions")
    if all(servable.version != ref.version for servable in servables):
        return ServableNotFound(f"Request for unknown model: '{ref.name}' version {ref.version} is not found")
    return Unavailable(f"Request for unknown model: '{ref.name}' version {ref.version} is not at ready state")
