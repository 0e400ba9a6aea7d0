"""Examples of features, as Classify and Regress take them, to the inputs of a signature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.signature import Array, Signature, TensorSpec

from ..errors import InvalidRequest, NotPossible
from ..models.query import InputTensor

FLOAT, INT64, BYTES = "float", "int64", "string"  # TensorFlow's words for what a feature holds


@dataclass(frozen=True, slots=True)
class Feature:
    """Feature of an example.

    Attributes:
        kinds: The types that the values may be taken for: FLOAT, INT64 or BYTES; in JSON an integer may be a FLOAT.
        values: Numbers, or byte strings.
    """

    kinds: frozenset[str]
    values: Sequence[Any]


Example = Mapping[str, Feature]


def input_tensors(signature: Signature, examples: Sequence[Example], max_bytes: int) -> dict[str, InputTensor]:
    """The inputs, one row for each example: the features that are named like them, all other features left alone.

    Rows are made of them when an offer is read, which raises InvalidRequest where a feature is missing, of another
    type, or has not as many values as its input: one context may stand for a row of every example.

    Raises:
        InvalidRequest: There are none, or an input would take more than `max_bytes`.
        NotPossible: An input has dimensions that are free, which a flat list of values cannot tell.
    """
    if not examples:
        raise InvalidRequest("Input is empty.")
    return {spec.name: _offer(spec, examples, max_bytes) for spec in signature.inputs}


def _offer(spec: TensorSpec, examples: Sequence[Example], max_bytes: int) -> InputTensor:
    if spec.row_bytes is None:
        raise NotPossible(f"input {spec.name!r} of shape {list(spec.shape)} has dimensions that are free: use Predict")
    size = len(examples) * spec.row_bytes
    if size > max_bytes:
        raise InvalidRequest(
            f"input {spec.name!r} of {len(examples):,} examples takes {size:,} bytes; at most {max_bytes:,} are allowed"
        )
    return InputTensor(spec.dtype, (len(examples), *spec.row_shape), partial(_rows, spec, examples))


def _rows(spec: TensorSpec, examples: Sequence[Example]) -> Array:
    return np.stack([_row(spec, example.get(spec.name), index) for index, example in enumerate(examples)])


def _row(spec: TensorSpec, feature: Feature | None, index: int) -> Array:
    wanted = FLOAT if np.dtype(spec.dtype).kind == "f" else INT64
    if feature is None or not feature.kinds:
        raise InvalidRequest(
            f"Name: <unknown>, Feature: {spec.name} (data type: {wanted}) is required but could not be found."
        )
    if feature.kinds == {BYTES}:
        return _from_bytes(spec, feature.values, index)
    if wanted not in feature.kinds:
        raise InvalidRequest(
            f"Name: <unknown>, Key: {spec.name}, Index: {index}.  Data types don't match."
            f" Data type: {min(feature.kinds)} but expected type: {wanted}"
        )
    return _from_numbers(spec, feature.values, wanted, index)


def _from_numbers(spec: TensorSpec, values: Sequence[Any], wanted: str, index: int) -> Array:
    size = int(np.prod(spec.row_shape, dtype=np.int64))
    if len(values) != size:
        raise InvalidRequest(
            f"Name: <unknown>, Key: {spec.name}, Index: {index}.  Number of {wanted} values != expected."
            f"  Values size: {len(values)} but output shape: {list(spec.row_shape)}"
        )
    try:
        wide = np.array(values, np.float64 if wanted == FLOAT else np.int64)
    except OverflowError:  # an integer in JSON may have any number of digits
        raise InvalidRequest(f"feature {spec.name!r} of example {index} holds a number that no double can") from None
    with np.errstate(over="ignore"):
        narrow = wide.astype(dtype_named(spec.dtype).numpy)
    lost = np.isinf(narrow) & np.isfinite(wide) if wanted == FLOAT else narrow != wide
    if lost.any():
        raise InvalidRequest(
            f"feature {spec.name!r} of example {index} holds {wide[lost][0]}, which {spec.dtype} cannot"
        )
    return narrow.reshape(spec.row_shape)


def _from_bytes(spec: TensorSpec, values: Sequence[bytes], index: int) -> Array:
    """A whole row as its little-endian bytes."""
    if len(values) != 1 or len(values[0]) != spec.row_bytes:
        received = f"{len(values[0]):,} bytes" if len(values) == 1 else f"{len(values)} values"
        raise InvalidRequest(
            f"feature {spec.name!r} of example {index}: bytes must be one value of {spec.row_bytes:,} bytes, a row of"
            f" shape {list(spec.row_shape)} and dtype {spec.dtype}; received {received}"
        )
    if spec.dtype == "bool" and max(values[0], default=0) > 1:
        raise InvalidRequest(
            f"feature {spec.name!r} of example {index}: bytes of dtype bool must be zeros and ones only"
        )
    return np.frombuffer(values[0], dtype_named(spec.dtype).numpy).reshape(spec.row_shape)
