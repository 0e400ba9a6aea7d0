"""What the caller gave, as the model's dtype.

Numbers are cast to the dtype of the model's input as a careful reader would do it by hand:

- the same dtype is sent as it is, bit for bit;
- bool → integer → float is allowed, and so is a narrower type of the same kind (float64 → float32, int64 → uint8);
- a value outside the range of the dtype is an error, and floats never become integers.

So lists and numpy's float64 and int64, which nobody chose on purpose, just work, and nothing is lost but rounding.
"""

from typing import Any

import numpy as np

from foldserve_contract.errors import TensorError
from foldserve_contract.signature import Array

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}


def cast(name: str, value: Any, dtype: str | None) -> Array:
    """The value as an array of the dtype; any array where the dtype is None.

    Raises:
        TensorError: That is not possible without losing more than rounding does; says how to cast by hand.
    """
    array = _as_array(name, value)
    if dtype is None or array.dtype == np.dtype(dtype):
        return array
    wanted = np.dtype(dtype)
    if array.size == 0 and not isinstance(value, np.ndarray):
        return array.astype(wanted)  # an empty list has no dtype of its own
    if _KINDS.get(array.dtype.kind, 3) > _KINDS.get(wanted.kind, -1):
        raise TensorError(
            f"input {name!r}: the model takes {dtype}, received {array.dtype}, which is not cast by itself;"
            f" cast it as you mean it, for instance with array.astype(np.{dtype})"
        )
    return _within_range(name, array, wanted)


def _as_array(name: str, value: Any) -> Array:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise TensorError(f"input {name!r}: the value is no array: {error}") from None


def _within_range(name: str, array: Array, wanted: np.dtype[Any]) -> Array:
    if wanted.kind == "f":
        with np.errstate(over="ignore"):
            result = array.astype(wanted)
        fits = np.can_cast(array.dtype, wanted) or not bool((np.isinf(result) & np.isfinite(array)).any())
    else:
        limits = np.iinfo(wanted)
        fits = array.size == 0 or (int(array.min()) >= limits.min and int(array.max()) <= limits.max)
        result = array.astype(wanted) if fits else array
    if not fits:
        raise TensorError(
            f"input {name!r}: the model takes {wanted.name}, and values between {array.min()} and {array.max()}"
            f" do not fit into it"
        )
    return result
