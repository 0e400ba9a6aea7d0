"""Ways to spoil one array of weights, and all of them; the same for every format."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

Change = Callable[[np.ndarray], np.ndarray]


def of_one(
    name: str, values: np.ndarray, generator: np.random.Generator, draws: int = 6
) -> Iterator[tuple[str, Change]]:
    """Single weights, channels, and axes the wrong way round."""
    for draw in range(draws):
        where = int(generator.integers(values.size))
        yield f"{name}: weight {where} by 1 % ({draw})", _scaled(where, 1.01)
    largest = int(np.abs(values).argmax())
    yield f"{name}: largest weight by 1 %", _scaled(largest, 1.01)
    yield f"{name}: largest weight with the other sign", _scaled(largest, -1.0)
    yield f"{name}: largest weight not a number", _scaled(largest, np.nan)
    for axis in range(values.ndim):
        if values.shape[axis] > 1:
            yield f"{name}: a channel of axis {axis} by 1 %", _channel(axis, 1.01)
            yield f"{name}: a channel of axis {axis} gone", _channel(axis, 0.0)
            yield f"{name}: axis {axis} turned round", partial(np.flip, axis=axis)
            yield f"{name}: axis {axis} shifted by one", partial(np.roll, shift=1, axis=axis)
    for first in range(values.ndim):
        for second in range(first + 1, values.ndim):
            if values.shape[first] == values.shape[second] > 1:
                yield f"{name}: axes {first} and {second} swapped", partial(np.swapaxes, axis1=first, axis2=second)


OF_ALL: dict[str, Change] = {
    "all weights in float16": lambda v: v.astype(np.float16).astype(np.float32),
    "all weights in bfloat16": lambda v: (np.ascontiguousarray(v).view(np.uint32) & 0xFFFF0000).view(np.float32),
    **{f"all weights by {factor}": partial(np.multiply, np.float32(factor)) for factor in (0.999, 1.0001, 1.001)},
}


def cut_off(share: float, content: bytes) -> bytes:
    """The first share of a file."""
    return content[: int(share * len(content))]


def replaced(other: bytes, content: bytes) -> bytes:
    """Another content in its place."""
    return other


def flipped_bit(content: bytes, generator: np.random.Generator) -> tuple[str, bytes]:
    """The content with one bit flipped, and a name for that."""
    where, bit = int(generator.integers(len(content))), int(generator.integers(8))
    return f"bit {bit} of byte {where}", content[:where] + bytes([content[where] ^ (1 << bit)]) + content[where + 1 :]


def _scaled(where: int, factor: float) -> Change:
    def change(values: np.ndarray) -> np.ndarray:
        values.flat[where] *= np.float32(factor)
        return values

    return change


def _channel(axis: int, factor: float) -> Change:
    def change(values: np.ndarray) -> np.ndarray:
        np.moveaxis(values, axis, 0)[1] *= np.float32(factor)
        return values

    return change
