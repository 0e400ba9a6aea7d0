"""TensorFlow operators on a model's tensors, which tf.keras kept as layers, mapped to `keras.ops`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

_ops = keras.ops
_SLICING = ("__operators__.getitem", "boolean_mask", "compat.v1.boolean_mask")
Shapes = Sequence[tuple[int | None, ...] | None]


def apply_operator(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], shapes: Shapes) -> Any | None:
    """Applies the counterpart of `tf.NAME` in `keras.ops`.

    Args:
        name: The function's name below `tf`.
        args: Its positional arguments, with the tensors of Keras 3.
        kwargs: Its keyword arguments.
        shapes: The shapes that tf-keras knows of its results.

    Returns:
        The results; None where Keras 3 has no counterpart that takes these arguments and makes as much of them.
    """
    operator = _BINARY.get(name) or _UNARY.get(name) or _OTHERS.get(name)
    arguments = {key: value for key, value in kwargs.items() if key != "name" and value is not None}
    if operator is None:
        return None
    if name == "reshape":
        args, arguments = _with_fixed_shape(args, arguments, shapes[0])
    try:
        bound = inspect.signature(operator).bind(*args, **arguments)
    except TypeError:
        return None
    settings = [value for key, value in bound.arguments.items() if key not in _TENSORS]
    if any(map(_is_symbolic, keras.tree.flatten(settings))):
        return None
    try:
        return operator(*bound.args, **bound.kwargs)
    except Exception:  # keras.ops take less than TensorFlow does, which is asked instead and names its own errors
        return None


_TENSORS = frozenset(
    ("x", "y", "a", "b", "t", "features", "logits", "input_tensor", "input", "tensor", "values", "value")
)


def is_slice(name: str) -> bool:
    """True for the functions that take slices among their arguments."""
    return name in _SLICING


def slices(spec: Any) -> Any:
    """Arguments with slices in the place of what tf.keras writes for them."""
    if isinstance(spec, Mapping) and spec.keys() == {"start", "stop", "step"}:
        return slice(spec["start"], spec["stop"], spec["step"])
    return type(spec)(slices(item) for item in spec) if type(spec) in (list, tuple) else spec


def _getitem(tensor: Any, slice_spec: Any) -> Any:
    return tensor[tuple(slice_spec) if isinstance(slice_spec, list) else slice_spec]


def _with_fixed_shape(args: Any, arguments: Any, shape: Any) -> tuple[Any, Any]:
    """The arguments of a reshape to a shape in which at most one size is unknown: the shape itself, with -1 there."""
    if shape is None or sum(size is None for size in shape) > 1:
        return args, arguments
    tensor = args[0] if args else arguments["tensor"]
    return (tensor, [-1 if size is None else size for size in shape]), {}


def _is_symbolic(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor)


def _number(value: Any) -> Any:
    """The operand of an operator; a list of numbers is an array."""
    if not isinstance(value, list | tuple) or any(map(_is_symbolic, keras.tree.flatten(value))):
        return value
    array = np.asarray(value)
    return array.astype("float32") if array.dtype.kind == "f" else array.astype("int32")


def _binary(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda x, y: function(_number(x), _number(y))


def _unary(function: Callable[[Any], Any]) -> Callable[..., Any]:
    def call(x: Any = None, **arguments: Any) -> Any:
        return function(next(iter(arguments.values())) if x is None else x)

    return call


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda input_tensor, axis=None, keepdims=False: function(input_tensor, axis=_plain(axis), keepdims=keepdims)


def _plain(value: Any) -> Any:
    """The value with lists of axes as tuples, and numpy scalars as numbers."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(_plain(item) for item in value) if isinstance(value, list | tuple) else value


def _cast(x: Any, dtype: Any) -> Any:
    name = getattr(dtype, "name", str(dtype))
    return _ops.cast(x, "float32" if "float" in name else name)


def _leaky(features: Any, alpha: float = 0.2) -> Any:
    return _ops.leaky_relu(features, negative_slope=alpha)


def _gelu(features: Any, approximate: bool = False) -> Any:
    return _ops.gelu(features, approximate=approximate)


def _softmax(logits: Any, axis: int = -1) -> Any:
    return _ops.softmax(logits, axis=axis)


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    return _ops.matmul(_ops.swapaxes(a, -1, -2) if transpose_a else a, _ops.swapaxes(b, -1, -2) if transpose_b else b)


def _transpose(a: Any, perm: Any = None) -> Any:
    return _ops.transpose(a, _plain(perm))


def _split(value: Any, num_or_size_splits: Any, axis: int = 0) -> Any:
    """Equal parts, or parts of given sizes, of which keras.ops takes the ends."""
    if isinstance(num_or_size_splits, int):
        return _ops.split(value, num_or_size_splits, axis=axis)
    return _ops.split(value, [int(end) for end in np.cumsum(num_or_size_splits)[:-1]], axis=axis)


_BINARY: Mapping[str, Callable[..., Any]] = {
    name: _binary(function)
    for names, function in (
        (("math.add", "__operators__.add"), _ops.add),
        (("math.subtract",), _ops.subtract),
        (("math.multiply",), _ops.multiply),
        (("math.truediv", "math.divide", "realdiv"), _ops.true_divide),
        (("math.maximum",), _ops.maximum),
        (("math.minimum",), _ops.minimum),
        (("math.pow",), _ops.power),
        (("math.squared_difference",), lambda x, y: _ops.square(_ops.subtract(x, y))),
    )
    for name in names
}
_UNARY: Mapping[str, Callable[..., Any]] = {
    name: _unary(function)
    for names, function in (
        (("math.negative",), _ops.negative),
        (("math.abs",), _ops.abs),
        (("math.exp",), _ops.exp),
        (("math.log",), _ops.log),
        (("math.sqrt",), _ops.sqrt),
        (("math.rsqrt",), _ops.rsqrt),
        (("math.square",), _ops.square),
        (("math.tanh", "nn.tanh"), _ops.tanh),
        (("math.sigmoid", "nn.sigmoid"), _ops.sigmoid),
        (("math.softplus", "nn.softplus"), _ops.softplus),
        (("nn.relu",), _ops.relu),
        (("nn.relu6",), _ops.relu6),
        (("nn.elu",), _ops.elu),
        (("nn.silu", "nn.swish"), _ops.silu),
        (("identity", "stop_gradient"), lambda x: x),
    )
    for name in names
}
_OTHERS: Mapping[str, Callable[..., Any]] = {
    "nn.gelu": _gelu,
    "nn.leaky_relu": _leaky,
    "nn.softmax": _softmax,
    "math.reduce_mean": _reduce(_ops.mean),
    "math.reduce_sum": _reduce(_ops.sum),
    "math.reduce_max": _reduce(_ops.max),
    "math.reduce_min": _reduce(_ops.min),
    "linalg.matmul": _matmul,
    "cast": _cast,
    "clip_by_value": lambda t, clip_value_min, clip_value_max: _ops.clip(t, clip_value_min, clip_value_max),
    "concat": lambda values, axis: _ops.concatenate(values, axis=axis),
    "expand_dims": lambda input, axis: _ops.expand_dims(input, axis),
    "reshape": lambda tensor, shape: _ops.reshape(tensor, _plain(shape)),
    "repeat": lambda input, repeats, axis=None: _ops.repeat(input, _plain(repeats), axis=axis),
    "split": _split,
    "squeeze": lambda input, axis=None: _ops.squeeze(input, axis=_plain(axis)),
    "stack": lambda values, axis=0: _ops.stack(values, axis=axis),
    "transpose": _transpose,
    "compat.v1.transpose": _transpose,
    "__operators__.getitem": _getitem,
}
