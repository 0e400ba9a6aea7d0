"""JSON values to arrays, as strictly as TensorFlow Serving takes them: nothing is cast, no list may be ragged."""

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
_DEBUG_LENGTH = 80
_TENSORFLOW = {"float32": "float", "float64": "double", "float16": "half"}
_TYPES = {
    bool: "Bool",
    int: "Number",
    float: "Number",
    str: "String",
    list: "Array",
    dict: "Object",
    type(None): "Null",
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """What stands anywhere in the JSON, so that what does not need not be looked for in every value.

    Attributes:
        bools: `true` or `false`.
        infinities: `Infinity`; without it, a number that is infinite is one that no double holds.
    """

    bools: bool
    infinities: bool


def array_of(spec: TensorSpec, value: Any, tokens: Tokens) -> Array:
    """The array of one input, batch and all.

    Args:
        spec: What is wanted.
        value: Nested lists, or `{"b64": …}`: all rows as little-endian bytes.
        tokens: What may stand anywhere in the value.

    Raises:
        InvalidRequest: A value is of another type, or a list of another length than its neighbours.
    """
    if is_b64(value):
        return _from_bytes(spec, _decode(value), None)
    if isinstance(value, list) and any(is_b64(item) for item in value):
        return _joined(spec, value)
    kind = np.dtype(spec.dtype).kind
    if tokens.bools and kind != "b":
        _check_types(spec, value)
    try:
        array = numbers(value, kind)
    except ValueError:
        raise _fault(spec, value) from None
    except OverflowError:
        raise InvalidRequest(f"input {spec.name!r}: JSON Parse error: Number too big to be stored in double") from None
    if not tokens.infinities and array.dtype.kind == "f" and np.isinf(array).any():
        raise InvalidRequest(f"input {spec.name!r}: JSON Parse error: Number too big to be stored in double")
    return _narrow(spec, array, value, kind)


def is_b64(value: Any) -> bool:
    """Whether the value holds bytes."""
    return isinstance(value, dict) and value.keys() == {B64}


def numbers(value: Any, kind: str) -> Array:
    """Nested lists as an array, each number as it was written.

    Among integers of which some need 64 bits without a sign and others do not, the library takes all for float64; and
    integers that no 64 bits hold, for no numbers at all.

    Args:
        value: The lists.
        kind: Numpy's kind of the elements that are wanted.

    Raises:
        ValueError: A list is of another length than its neighbours.
        OverflowError: A double is wanted, and none holds a number.
    """
    array = np.array(value)
    if array.dtype.kind != "O" and (array.dtype.kind != "f" or kind not in "iu"):
        return array
    objects = np.array(value, object)
    kinds = set(map(type, objects.flat))
    if kind == "f" and kinds <= {int, float}:
        return objects.astype(np.float64)
    if kind in "iu" and kinds == {int} and objects.min() >= 0 and objects.max() < 1 << 64:
        return objects.astype(np.uint64)
    return array


def _narrow(spec: TensorSpec, array: Array, value: Any, kind: str) -> Array:
    dtype = dtype_named(spec.dtype).numpy
    if array.size == 0:
        return array.astype(dtype)
    if array.dtype.kind not in {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}[kind]:
        raise _fault(spec, value)
    with np.errstate(over="ignore"):
        narrow = array.astype(dtype)
    changed = narrow != array if kind in "iu" else np.isinf(narrow) & np.isfinite(array)
    if kind != "b" and changed.any():
        raise _mistyped(spec, array[changed].flat[0].item())
    return narrow


def _joined(spec: TensorSpec, rows: list[Any]) -> Array:
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


def _fault(spec: TensorSpec, value: Any) -> InvalidRequest:
    """The first thing that is wrong with nested lists which are not an array of the type that is wanted."""
    shape = list(_shape(value))
    try:
        _check_lists(value, shape, 0)
        _check_types(spec, value)
    except InvalidRequest as error:
        return error
    return InvalidRequest(f"input {spec.name!r}: the value is not an array of {_name(spec)}")


def _shape(value: Any) -> Iterator[int]:
    while isinstance(value, list):
        yield len(value)
        value = value[0] if value else None


def _check_lists(value: Any, shape: list[int], level: int) -> None:
    if not isinstance(value, list):
        if level < len(shape):
            raise InvalidRequest(
                f"Encountered {_type(value)} {_shown(value)} at level: {level} where a list is expected"
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
    elif type(value) not in _accepted(spec):
        raise _mistyped(spec, value)


def _accepted(spec: TensorSpec) -> tuple[type, ...]:
    return {"f": (float, int), "b": (bool,)}.get(np.dtype(spec.dtype).kind, (int,))


def _mistyped(spec: TensorSpec, value: Any) -> InvalidRequest:
    return InvalidRequest(f"JSON Value: {_shown(value)} Type: {_type(value)} is not of expected type: {_name(spec)}")


def _name(spec: TensorSpec) -> str:
    return _TENSORFLOW.get(spec.dtype, spec.dtype)


def _type(value: Any) -> str:
    return _TYPES.get(type(value), "Object")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _DEBUG_LENGTH else text[:_DEBUG_LENGTH] + "..."
