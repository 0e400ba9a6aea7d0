"""Casts of the caller's values to the model's dtypes.

Numbers are cast where nothing but rounding can be lost:

- the same dtype is sent unchanged, bit for bit;
- bool → integer → float is allowed, and so is a narrower type of the same kind (float64 → float32, int64 → uint8);
- a value outside the range of the dtype is an error, and floats never become integers.

So lists, and numpy's float64 and int64 that are chosen by default rather than on purpose, work without a cast by hand.
"""

from typing import Any

import numpy as np

from foldserve_contract.errors import TensorError
from foldserve_contract.signature import Array

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}


def cast(name: str, value: Any, dtype: str | None) -> Array:
    """Casts a value to an array of the dtype; with None, makes an array of any dtype.

    Raises:
        TensorError: The cast would lose more than rounding does; the message has the cast to write by hand.
    """
    array = _as_array(name, value)
    if dtype is None or array.dtype == np.dtype(dtype):
        return array
    target = np.dtype(dtype)
    if array.size == 0 and not isinstance(value, np.ndarray):
        return array.astype(target)  # an empty list has no dtype of its own
    if _KINDS.get(array.dtype.kind, 3) > _KINDS.get(target.kind, -1):
        raise TensorError(
            f"input {name!r}: the model takes {dtype}, received {array.dtype}, which is not cast automatically;"
            f" cast it explicitly, for instance with array.astype(np.{dtype})"
        )
    return _within_range(name, array, target)


def _as_array(name: str, value: Any) -> Array:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise TensorError(f"input {name!r}: the value is not an array: {error}") from None


def _within_range(name: str, array: Array, target: np.dtype[Any]) -> Array:
    if target.kind == "f":
        with np.errstate(over="ignore"):
            result = array.astype(target)
        fits = np.can_cast(array.dtype, target) or not bool((np.isinf(result) & np.isfinite(array)).any())
    else:
        limits = np.iinfo(target)
        fits = array.size == 0 or (int(array.min()) >= limits.min and int(array.max()) <= limits.max)
        result = array.astype(target) if fits else array
    if not fits:
        raise TensorError(
            f"input {name!r}: the model takes {target.name}, and values between {array.min()} and {array.max()}"
            f" do not fit into it"
        )
    return result
