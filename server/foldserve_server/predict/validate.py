"""Validation of requests before an engine sees them.

TensorFlow accepts a 200×200 image for a signature of 224×224 and ONNX Runtime refuses it: here both refuse alike.
Where TensorFlow Serving has words for a fault, they are used.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from foldserve_contract.errors import TensorError
from foldserve_contract.signature import Array, Signature, TensorSpec

from ..errors import InvalidRequest
from ..models.query import InputTensor
from .request_options import RequestOptions

InputTensors = Mapping[str, InputTensor]


def check_names(signature: Signature, offers: InputTensors) -> None:
    """Raises InvalidRequest unless the inputs are the signature's."""
    wanted = {spec.name for spec in signature.inputs}
    if len(offers) != len(wanted):
        raise InvalidRequest(
            f"input size does not match signature: {len(offers)}!={len(wanted)}"
            f" len({name_set(offers)}) != len({name_set(wanted)})."
            f" Sent extra: {name_set(offers.keys() - wanted)}."
            f" Missing but required: {name_set(wanted - offers.keys())}."
        )
    for spec in signature.inputs:
        if spec.name not in offers:
            raise InvalidRequest(
                f"Signature input alias: {spec.name}(feed name: {spec.name}:0) not found in request and no default"
                " value provided. Inputs expected to be in the request"
                f" {name_set(offers)}, or default input alias set: "
            )


def check_headers(signature: Signature, offers: InputTensors, max_rows: int | None) -> int:
    """The number of rows.

    Raises:
        InvalidRequest: A dtype, rank or dimension is not the signature's, rows differ in number or are too many.
    """
    rows = {spec.name: _check_header(spec, offers[spec.name]) for spec in signature.inputs}
    if len(set(rows.values())) != 1:
        raise InvalidRequest(f"Batching Run() input tensors must have equal 0th-dimension size, received {rows}")
    count = next(iter(rows.values()))
    if max_rows is not None and count > max_rows:
        raise InvalidRequest(f"Task size {count} is larger than maximum input batch size {max_rows}")
    return count


def _check_header(spec: TensorSpec, offer: InputTensor) -> int:
    if offer.dtype is None or offer.shape is None:
        raise _unparsable(spec, "its dtype and shape must be given in full")
    if offer.dtype != spec.dtype:
        raise InvalidRequest(f"input {spec.name!r}: expected dtype {spec.dtype}, received {offer.dtype}")
    if not spec.accepts(offer.shape):
        raise InvalidRequest(
            f"input {spec.name!r}: expected shape {list(spec.shape)} (-1 is free), received {list(offer.shape)}"
        )
    return offer.shape[0]


def read(signature: Signature, offers: InputTensors, limits: RequestOptions) -> dict[str, Array]:
    """The arrays by name.

    Raises:
        InvalidRequest: The content does not fill its shape, or is not finite where it must be.
    """
    return {spec.name: _read(spec, offers[spec.name], limits) for spec in signature.inputs}


def _read(spec: TensorSpec, offer: InputTensor, limits: RequestOptions) -> Array:
    try:
        array = offer.read()
    except TensorError as error:
        raise _unparsable(spec, str(error)) from error
    if limits.reject_nonfinite and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidRequest(f"input {spec.name!r} holds NaN or infinity, which this server was told to refuse")
    return array


def _unparsable(spec: TensorSpec, reason: str) -> InvalidRequest:
    return InvalidRequest(f"tensor parsing error: {spec.name} ({reason})")


def wanted_outputs(signature: Signature, names: tuple[str, ...]) -> tuple[TensorSpec, ...]:
    """The outputs that are asked for: all where none is named.

    Raises:
        InvalidRequest: A name is unknown or comes twice.
    """
    specs = {spec.name: spec for spec in signature.outputs}
    seen: set[str] = set()
    for name in names:
        if name not in specs:
            raise InvalidRequest(
                f"output tensor alias not found in signature: {name}"
                f" Outputs expected to be in the set {name_set(specs)}."
            )
        if name in seen:
            raise InvalidRequest(f"duplicate output tensor alias: {name}")
        seen.add(name)
    return tuple(specs[name] for name in names) or signature.outputs


def name_set(names: Iterable[str]) -> str:
    """Names in braces, sorted, with commas and no space: `{a,b}`."""
    return "{" + ",".join(sorted(names)) + "}"
