"""TensorFlow operators on a model's tensors, which tf.keras kept as layers, mapped to `keras.ops`."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

_ops = keras.ops
SLICE = "__operators__.getitem"


def is_known(name: object) -> bool:
    """True if `tf.NAME` is a supported operator: tf-keras would call any other at once, `tf.io.write_file` too."""
    return name in _BINARY or name in _UNARY or name in _OTHERS or name == SLICE


def apply_operator(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Applies the counterpart of `tf.NAME`, which must be a supported operator."""
    arguments = {key: value for key, value in kwargs.items() if key != "name" and value is not None}
    operator = _BINARY.get(name) or _UNARY.get(name) or _OTHERS[name]
    return operator(*args, **arguments)


def apply_slice(tensor: Any, slice_spec: Any) -> Any:
    """Applies `tensor[...]`, with slices in tf.keras' serialized form."""
    return tensor[_slices(slice_spec)]


def _slices(spec: Any) -> Any:
    if isinstance(spec, Mapping):
        return slice(spec.get("start"), spec.get("stop"), spec.get("step"))
    if isinstance(spec, list | tuple):
        return tuple(_slices(item) for item in spec)
    return spec


def _binary(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda x, y: function(x, y)


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
    "squeeze": lambda input, axis=None: _ops.squeeze(input, axis=_plain(axis)),
    "stack": lambda values, axis=0: _ops.stack(values, axis=axis),
    "transpose": lambda a, perm=None: _ops.transpose(a, _plain(perm)),
}
