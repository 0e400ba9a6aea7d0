"""Conversion of JSON values to arrays, as strict as TensorFlow Serving's: no casts, no ragged lists."""

import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.signature import DYNAMIC, Array, TensorSpec

from ..errors import InvalidRequest

B64 = "b64"
_EXCERPT_LENGTH = 80
_TENSORFLOW_NAMES = {"float32": "float", "float64": "double", "float16": "half"}
_JSON_TYPES = {
    bool: "Bool",
    int: "Number",
    float: "Number",
    str: "String",
    list: "Array",
    dict: "Object",
    type(None): "Null",
}


@dataclass(frozen=True, slots=True)
class JsonLiterals:
    """Literals that occur anywhere in the JSON text; values are only searched for those that do.

    Attributes:
        bools: True if `true` or `false` occurs.
        infinities: True if `Infinity` occurs; without it, an infinite number is one that no double holds.
    """

    bools: bool
    infinities: bool


def array_of(spec: TensorSpec, value: Any, literals: JsonLiterals) -> Array:
    """The array of one input, with all its rows.

    Args:
        spec: The input's specification.
        value: Nested lists, or `{"b64": …}`: all rows as little-endian bytes.
        literals: The literals that may occur in the value.

    Raises:
        InvalidRequest: A value is of another type, or a list of another length than its neighbours.
    """
    # 1. bytes: of all rows, or of each row
    if is_b64(value):
        return _from_bytes(spec, _decode(value), None)
    if isinstance(value, list) and any(is_b64(item) for item in value):
        return _from_rows_of_bytes(spec, value)
    # 2. lists; numpy would take booleans among numbers for numbers
    kind = np.dtype(spec.dtype).kind
    if literals.bools and kind != "b":
        _check_types(spec, value)
    try:
        array = number_array(value, kind)
    except ValueError:
        raise _first_error(spec, value) from None
    except OverflowError:
        raise InvalidRequest(f"input {spec.name!r}: JSON Parse error: Number too big to be stored in double") from None
    if not literals.infinities and array.dtype.kind == "f" and np.isinf(array).any():
        raise InvalidRequest(f"input {spec.name!r}: JSON Parse error: Number too big to be stored in double")
    # 3. the type that the input has
    return _cast(spec, array, value, kind)


def is_b64(value: Any) -> bool:
    """Tests whether the value is `{"b64": …}`, which holds bytes."""
    return isinstance(value, dict) and value.keys() == {B64}


def number_array(value: Any, kind: str) -> Array:
    """Converts nested lists to an array that keeps each number as it was written.

    Numpy reads integers of which only some need 64 unsigned bits as float64, and integers of more than 64 bits as
    objects.

    Args:
        value: The lists.
        kind: Numpy's kind of the elements that are wanted.

    Raises:
        ValueError: A list is of another length than its neighbours.
        OverflowError: Floats are wanted, and no double holds one of the numbers.
    """
    array = np.array(value)
    if array.dtype.kind != "O" and (array.dtype.kind != "f" or kind not in "iu"):
        return array
    # converted anew, number by number, where numpy may have lost digits
    objects = np.array(value, object)
    kinds = set(map(type, objects.flat))
    if kind == "f" and kinds <= {int, float}:
        return objects.astype(np.float64)
    if kind in "iu" and kinds == {int} and objects.min() >= 0 and objects.max() < 1 << 64:
        return objects.astype(np.uint64)
    return array


def _cast(spec: TensorSpec, array: Array, value: Any, kind: str) -> Array:
    """Converts the array to the input's dtype, or raises InvalidRequest where that would change a number."""
    dtype = dtype_named(spec.dtype).numpy
    if array.size == 0:
        return array.astype(dtype)
    if array.dtype.kind not in {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}[kind]:
        raise _first_error(spec, value)
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    changed = cast != array if kind in "iu" else np.isinf(cast) & np.isfinite(array)
    if kind != "b" and changed.any():
        raise _mistyped(spec, array[changed].flat[0].item())
    return cast


def _from_rows_of_bytes(spec: TensorSpec, rows: list[Any]) -> Array:
    for row in rows:
        if not is_b64(row):
            raise _mistyped(spec, row)
    return np.concatenate([_from_bytes(spec, _decode(row), 1) for row in rows])


def _from_bytes(spec: TensorSpec, content: bytes, rows: int | None) -> Array:
    dtype, size = dtype_named(spec.dtype).numpy, spec.row_bytes
    if size is None or DYNAMIC in spec.row_shape:
        raise InvalidRequest(f"input {spec.name!r} has dimensions that are free: send lists, not {B64}")
    if (len(content) != size * rows) if rows is not None else (size == 0 or len(content) % size):
        raise InvalidRequest(
            f"input {spec.name!r}: a row of shape {list(spec.row_shape)} and dtype {spec.dtype} takes {size:,} bytes,"
            f" received {len(content):,}"
        )
    if spec.dtype == "bool" and np.frombuffer(content, np.uint8).max(initial=0) > 1:
        raise InvalidRequest(f"input {spec.name!r}: bytes of dtype bool must be zeros and ones only")
    return np.frombuffer(content, dtype).reshape(-1, *spec.row_shape)


def _decode(value: dict[str, Any]) -> bytes:
    try:
        return binascii.a2b_base64(value[B64], strict_mode=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise InvalidRequest(f"Unable to base64 decode: {error}") from None


def _first_error(spec: TensorSpec, value: Any) -> InvalidRequest:
    """The first error in nested lists that are not an array of the wanted type."""
    shape = list(_shape(value))
    try:
        _check_lists(value, shape, 0)
        _check_types(spec, value)
    except InvalidRequest as error:
        return error
    return InvalidRequest(f"input {spec.name!r}: the value is not an array of {_type_name(spec)}")


def _shape(value: Any) -> Iterator[int]:
    while isinstance(value, list):
        yield len(value)
        value = value[0] if value else None


def _check_lists(value: Any, shape: list[int], level: int) -> None:
    if not isinstance(value, list):
        if level < len(shape):
            raise InvalidRequest(
                f"Encountered {_json_type(value)} {_excerpt(value)} at level: {level} where a list is expected"
            )
        return
    if level >= len(shape):
        raise InvalidRequest(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise InvalidRequest(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _check_lists(item, shape, level + 1)


def _check_types(spec: TensorSpec, value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _check_types(spec, item)
    elif type(value) not in _accepted_types(spec):
        raise _mistyped(spec, value)


def _accepted_types(spec: TensorSpec) -> tuple[type, ...]:
    return {"f": (float, int), "b": (bool,)}.get(np.dtype(spec.dtype).kind, (int,))


def _mistyped(spec: TensorSpec, value: Any) -> InvalidRequest:
    return InvalidRequest(
        f"JSON Value: {_excerpt(value)} Type: {_json_type(value)} is not of expected type: {_type_name(spec)}"
    )


def _type_name(spec: TensorSpec) -> str:
    return _TENSORFLOW_NAMES.get(spec.dtype, spec.dtype)


def _json_type(value: Any) -> str:
    return _JSON_TYPES.get(type(value), "Object")


def _excerpt(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _EXCERPT_LENGTH else text[:_EXCERPT_LENGTH] + "..."
