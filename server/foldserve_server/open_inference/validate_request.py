"""Validation of a request with Triton's messages; `predict.validate` checks the same again with its own."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from foldserve_contract.signature import Signature, TensorSpec

from ..errors import InvalidRequest
from .datatypes import BY_DTYPE, BY_NAME


class NamedTensor(Protocol):
    """A tensor by its name."""

    @property
    def name(self) -> str:
        """The name."""


class TensorHeader(NamedTensor, Protocol):
    """A tensor's name, element type and shape in a request."""

    @property
    def datatype(self) -> str:
        """The protocol's name of the element type."""

    @property
    def shape(self) -> Sequence[int]:
        """The dimensions."""


class RequestHeader(Protocol):
    """The tensors of a request, without their values; a ModelInferRequest is one."""

    @property
    def inputs(self) -> Sequence[TensorHeader]:
        """The tensors that are sent."""

    @property
    def outputs(self) -> Sequence[NamedTensor]:
        """The outputs that are wanted; empty for all."""


def check(name: str, signature: Signature, max_rows: int | None, request: RequestHeader) -> None:
    """Raises InvalidRequest unless inputs and wanted outputs are the signature's.

    Args:
        name: The model's name.
        signature: The model's signature.
        max_rows: The most rows a request may have; None for any number.
        request: The request.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    _check_names(name, specs, [tensor.name for tensor in request.inputs])
    for tensor in request.inputs:
        _check_tensor(name, specs[tensor.name], tensor, max_rows)
    outputs = [spec.name for spec in signature.outputs]
    for wanted in request.outputs:
        if wanted.name not in outputs:
            raise InvalidRequest(f"unexpected inference output '{wanted.name}' for model '{name}'")


def _check_names(model: str, wanted: Iterable[str], given: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in given:
        if name in seen:
            raise InvalidRequest(f"input '{name}' already exists in request")
        seen.add(name)
    names = list(wanted)
    if len(given) != len(names):
        missing = [name for name in names if name not in seen]
        raise InvalidRequest(
            f"expected {len(names)} inputs but got {len(given)} inputs for model '{model}'."
            f" Got input(s) {_listed(given)}, but missing required input(s) {_listed(missing)}."
            " Please provide all required input(s)."
        )
    for name in given:
        if name not in names:
            raise InvalidRequest(f"unexpected inference input '{name}' for model '{model}'")


def _check_tensor(model: str, spec: TensorSpec, tensor: TensorHeader, max_rows: int | None) -> None:
    wanted = BY_DTYPE[spec.dtype].name
    if tensor.datatype not in BY_NAME and tensor.datatype not in ("BYTES", "BF16"):
        raise InvalidRequest(f"inference input '{spec.name}' has unknown data-type '{tensor.datatype}'")
    if tensor.datatype != wanted:
        raise InvalidRequest(
            f"inference input '{spec.name}' data-type is '{tensor.datatype}', but model '{model}' expects '{wanted}'"
        )
    shape = tuple(tensor.shape)
    if not spec.accepts(shape) or any(size < 0 for size in shape):
        raise InvalidRequest(
            f"unexpected shape for input '{spec.name}' for model '{model}'."
            f" Expected {_shape(spec.shape)}, got {_shape(shape)}."
        )
    if max_rows is not None and shape[0] > max_rows:
        raise InvalidRequest(f"inference request batch-size must be <= {max_rows} for '{model}'")


def _listed(names: Iterable[str]) -> str:
    return "[" + ",".join(f"'{name}'" for name in names) + "]"


def _shape(sizes: Iterable[int]) -> str:
    return "[" + ",".join(str(size) for size in sizes) + "]"
