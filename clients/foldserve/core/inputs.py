"""Conversion of the caller's inputs to the arrays that a model takes."""

from collections.abc import Mapping
from typing import Any

from foldserve_contract.signature import Array

from ..errors import ConfigurationError
from .address import ModelAddress
from .casting import cast
from .metadata import ModelMetadata


def prepare_inputs(inputs: Any, metadata: ModelMetadata | None, address: ModelAddress) -> dict[str, Array]:
    """Converts inputs to named arrays of the model's dtypes.

    Args:
        inputs: A mapping of names to array-likes, or one array-like for a model with one input.
        metadata: The model's inputs; None if the server does not report them, which leaves dtypes unchanged.
        address: The model, for error messages.

    Raises:
        ConfigurationError: One array was given, and the model has several inputs or their names are not known.
        TensorError: A value cannot be cast to the dtype that the model takes.
    """
    named = inputs if isinstance(inputs, Mapping) else {_only_input(metadata, address): inputs}
    if not named:
        raise ConfigurationError(f"{address}: expected at least one input, received none")
    dtypes = {info.name: info.dtype for info in metadata.inputs} if metadata else {}
    return {name: cast(name, value, dtypes.get(name)) for name, value in named.items()}


def _only_input(metadata: ModelMetadata | None, address: ModelAddress) -> str:
    if metadata is None:
        raise ConfigurationError(
            f"{address}: the server does not report the names of the model's inputs;"
            f" give them yourself: predict({address.model!r}, {{'NAME': array}})"
        )
    names = [info.name for info in metadata.inputs]
    if len(names) != 1:
        raise ConfigurationError(
            f"{address} has the inputs {names} and received one array; give a mapping of names to arrays"
        )
    return names[0]
