"""Operations of random models: each takes the drawer and a tensor, and gives what is to be called on it."""

from collections.abc import Callable
from typing import Any

import keras

L, ops = keras.layers, keras.ops
DTYPES = ("float32", "float16", "bfloat16", "float64", "int32", "int64", "uint8", "int8", "bool", "uint32", "int16")
Operation = Callable[[Any, Any], Callable[[Any], Any]]


def axis(drawer: Any, tensor: Any) -> int:
    """An axis that is not the batch."""
    return int(drawer.rng.integers(1, max(2, len(tensor.shape))))


def convolution(drawer: Any, tensor: Any) -> Any:
    rank = len(tensor.shape) - 2
    kinds = {1: (L.Conv1D, L.Conv1DTranspose), 2: (L.Conv2D, L.Conv2DTranspose), 3: (L.Conv3D, L.Conv3DTranspose)}
    kind = drawer.pick(kinds[rank])
    return kind(
        drawer.pick((1, 3, 4)),
        drawer.pick((1, 2, 3)),
        strides=drawer.pick((1, 1, 2)),
        padding=drawer.pick(("same", "valid")),
        activation=drawer.pick((None, "relu", "softmax", "gelu")),
    )


def pooling(drawer: Any, tensor: Any) -> Any:
    rank = len(tensor.shape) - 2
    name = drawer.pick((f"MaxPooling{rank}D", f"AveragePooling{rank}D", f"GlobalMaxPooling{rank}D",
                        f"GlobalAveragePooling{rank}D", f"UpSampling{rank}D", f"ZeroPadding{rank}D", f"Cropping{rank}D",
                        f"SpatialDropout{rank}D"))  # fmt: skip
    return getattr(L, name)(0.5) if "Dropout" in name else getattr(L, name)()


def resized(drawer: Any, tensor: Any) -> Any:
    size = drawer.pick(((3, 5), (9, 4), (1, 1), (16, 16)))
    if drawer.chance(0.5):
        return L.Resizing(*size, interpolation=drawer.pick(("bilinear", "nearest", "bicubic", "lanczos3", "area")))
    return L.UpSampling2D(drawer.pick((2, (1, 3))), interpolation=drawer.pick(("bilinear", "nearest", "bicubic")))


def recurrent(drawer: Any, tensor: Any) -> Any:
    layer = drawer.pick((L.LSTM, L.GRU, L.SimpleRNN))(
        drawer.pick((1, 3)), return_sequences=drawer.chance(0.5), return_state=drawer.chance(0.2)
    )
    return L.Bidirectional(layer) if drawer.chance(0.2) and not layer.return_state else layer


def sliced(drawer: Any, tensor: Any) -> Any:
    rest = (slice(None),) * (axis(drawer, tensor) - 1)
    part = drawer.pick((slice(1, None), slice(None, None, -1), slice(None, 0), slice(None, None, 2), 0, -1, None, ...))
    return lambda x: x[(slice(None), *rest, part)]


LAYERS: tuple[Operation, ...] = (
    lambda d, x: L.BatchNormalization(axis=axis(d, x) if d.chance(0.3) else -1, center=d.chance(0.8), name=d.name()),
    lambda d, x: L.BatchNormalization(scale=d.chance(0.8), name=d.name()),
    lambda d, x: L.Dense(d.pick((1, 2, 5)), use_bias=d.chance(0.7), activation=d.pick((None, "relu", "softmax"))),
    lambda d, x: L.Dense(d.pick((1, 3)), name=d.name()),
    convolution,
    convolution,
    pooling,
    pooling,
    resized,
    recurrent,
    lambda d, x: L.DepthwiseConv2D(2, depth_multiplier=d.pick((1, 2))),
    lambda d, x: L.SeparableConv2D(3, 2, padding="same"),
    lambda d, x: L.Conv2D(4, 1, groups=2),
    lambda d, x: L.Embedding(d.pick((1, 10, 300)), 3, mask_zero=d.chance(0.2)),
    lambda d, x: L.CategoryEncoding(10, output_mode=d.pick(("one_hot", "multi_hot", "count"))),
    lambda d, x: L.Discretization(bin_boundaries=[-1.0, 0.0, 0.5]),
    lambda d, x: L.Hashing(7),
    lambda d, x: L.IntegerLookup(vocabulary=[1, 2, 3]),
    lambda d, x: L.Normalization(mean=0.5, variance=2.0),
    lambda d, x: L.Rescaling(d.pick((0.0, 0.5, -1.0)), offset=1.0),
    lambda d, x: L.LayerNormalization(),
    lambda d, x: L.GroupNormalization(1),
    lambda d, x: L.UnitNormalization(),
    lambda d, x: L.Flatten(),
    lambda d, x: L.Reshape((-1,)),
    lambda d, x: L.Reshape((-1, x.shape[-1])),
    lambda d, x: L.RepeatVector(3),
    lambda d, x: L.Permute(tuple(d.rng.permutation(range(1, len(x.shape))).tolist())),
    lambda d, x: L.Masking(),
    lambda d, x: L.Dropout(0.5),
    lambda d, x: L.GaussianNoise(0.5),
    lambda d, x: L.RandomFlip(),
    lambda d, x: L.Identity(name=d.name()),
    lambda d, x: L.Activation(d.pick(("relu", "selu", "hard_swish", "glu", "log_softmax", "mish", "hard_sigmoid"))),
    lambda d, x: L.PReLU(),
    lambda d, x: L.TimeDistributed(L.Dense(2)),
    lambda d, x: L.TimeDistributed(L.BatchNormalization()),
    lambda d, x: L.SpectralNormalization(L.Dense(2)),
    lambda d, x: L.EinsumDense("...a,ab->...b", output_shape=(4,)),
)
FUNCTIONS: tuple[Operation, ...] = (
    sliced,
    sliced,
    lambda d, x: lambda y: ops.cast(y, d.pick(DTYPES)),
    lambda d, x: lambda y: ops.cast(y, d.pick(DTYPES)),
    lambda d, x: d.pick((ops.abs, ops.sign, ops.square, ops.exp, ops.sin, ops.erf, ops.round, ops.floor, ops.isnan)),
    lambda d, x: lambda y: ops.sqrt(ops.abs(y)),
    lambda d, x: lambda y: ops.logical_not(y),
    lambda d, x: lambda y: y // 2,
    lambda d, x: lambda y: y % 3,
    lambda d, x: lambda y: 1.0 / (ops.abs(y) + 1.0),
    lambda d, x: lambda y: ops.expand_dims(y, axis(d, x)),
    lambda d, x: lambda y: ops.squeeze(y, axis(d, x)),
    lambda d, x: (
        lambda y: d.pick((ops.sum, ops.mean, ops.max, ops.min, ops.prod, ops.std, ops.logsumexp))(
            y, axis=axis(d, x), keepdims=d.chance(0.3)
        )
    ),
    lambda d, x: lambda y: d.pick((ops.argmax, ops.argmin, ops.any, ops.all, ops.cumsum))(y, axis=axis(d, x)),
    lambda d, x: lambda y: d.pick((ops.sort, ops.argsort, ops.flip))(y, axis=axis(d, x)),
    lambda d, x: lambda y: ops.top_k(y, 1),
    lambda d, x: lambda y: ops.one_hot(y, 10),
    lambda d, x: lambda y: ops.split(y, 2, axis=axis(d, x)),
    lambda d, x: lambda y: ops.unstack(y, axis=axis(d, x)),
    lambda d, x: lambda y: ops.tile(y, [1, *[2] * (len(x.shape) - 1)]),
    lambda d, x: lambda y: ops.repeat(y, 2, axis=axis(d, x)),
    lambda d, x: lambda y: ops.pad(y, [(0, 0), *[(1, 0)] * (len(x.shape) - 1)]),
    lambda d, x: lambda y: ops.roll(y, 1, axis=axis(d, x)),
    lambda d, x: lambda y: ops.take(y, [0, 0], axis=axis(d, x)),
    lambda d, x: lambda y: ops.transpose(y, (0, *range(len(x.shape) - 1, 0, -1))),
    lambda d, x: lambda y: ops.clip(y, -1, 1),
    lambda d, x: lambda y: ops.sum(y),
    lambda d, x: lambda y: ops.zeros_like(y),
    lambda d, x: lambda y: ops.shape(y)[0] * ops.ones_like(y),
    lambda d, x: lambda y: ops.reshape(y, (-1, 1)),
    lambda d, x: lambda y: ops.normalize(y),
    lambda d, x: lambda y: ops.nan_to_num(y),
)
OPERATIONS: tuple[Operation, ...] = LAYERS + FUNCTIONS
JOINS: tuple[Callable[[Any, Any], Any], ...] = (
    lambda x, y: L.Add()([x, y]),
    lambda x, y: L.Concatenate(axis=-1)([x, y]),
    lambda x, y: L.Concatenate(axis=1)([x, y, x]),
    lambda x, y: L.Multiply()([x, y]),
    lambda x, y: L.Dot(axes=-1)([x, y]),
    lambda x, y: L.Maximum()([x, x]),
    lambda x, y: L.Average()([x, y]),
    lambda x, y: L.Attention()([x, y]),
    lambda x, y: L.MultiHeadAttention(2, 3)(x, y),
    lambda x, y: x - y,
    lambda x, y: x / (ops.abs(y) + 1),
    lambda x, y: x > y,
    lambda x, y: x == y,
    lambda x, y: ops.where(x > 0, x, y),
    lambda x, y: ops.matmul(x, y),
    lambda x, y: ops.stack([x, y], axis=1),
    lambda x, y: ops.maximum(x, y),
    lambda x, y: ops.logical_and(x, y),
    lambda x, y: ops.floor_divide(x, ops.abs(y) + 1),
    lambda x, y: ops.power(ops.abs(x), 2),
)
