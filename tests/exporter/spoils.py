"""Ways to spoil an ONNX model. Each is a name and a function from the sound model's bytes to spoiled ones."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

Spoil = Callable[[bytes], bytes]


def spoils(content: bytes, seed: int = 0) -> Iterator[tuple[str, Spoil]]:
    """Every way there is for this model; the same for the same seed."""
    generator = np.random.default_rng(seed)
    model = onnx.load_from_string(content)
    for tensor in model.graph.initializer:
        if numpy_helper.to_array(tensor).dtype == np.float32 and tensor.dims:
            yield from _of_weights(tensor.name, numpy_helper.to_array(tensor), generator)
    for index, node in enumerate(model.graph.node):
        yield from _of_node(index, node)
    yield from _of_all_weights()
    yield from _of_the_file(content, generator)


def _of_weights(name: str, values: np.ndarray, generator: np.random.Generator) -> Iterator[tuple[str, Spoil]]:
    for draw in range(6):
        where = int(generator.integers(values.size))
        yield f"{name}: weight {where} by 1 % ({draw})", _weights(name, _scaled(where, 1.01))
    largest = int(np.abs(values).argmax())
    yield f"{name}: largest weight by 1 %", _weights(name, _scaled(largest, 1.01))
    yield f"{name}: largest weight with the other sign", _weights(name, _scaled(largest, -1.0))
    yield f"{name}: largest weight not a number", _weights(name, _scaled(largest, np.nan))
    for axis in range(values.ndim):
        if values.shape[axis] > 1:
            yield f"{name}: a channel of axis {axis} by 1 %", _weights(name, _channel(axis, 1.01))
            yield f"{name}: a channel of axis {axis} gone", _weights(name, _channel(axis, 0.0))
            yield f"{name}: axis {axis} turned round", _weights(name, lambda v, axis=axis: np.flip(v, axis))
            yield f"{name}: axis {axis} shifted by one", _weights(name, lambda v, axis=axis: np.roll(v, 1, axis))
    for first in range(values.ndim):
        for second in range(first + 1, values.ndim):
            if values.shape[first] == values.shape[second] > 1:
                swap = lambda v, a=first, b=second: np.swapaxes(v, a, b)  # noqa: E731
                yield f"{name}: axes {first} and {second} swapped", _weights(name, swap)


def _of_node(index: int, node: Any) -> Iterator[tuple[str, Spoil]]:
    others = {
        "Relu": "Identity",
        "Add": "Sub",
        "ReduceMean": "ReduceMax",
        "Softmax": "Identity",
        "MaxPool": "AveragePool",
    }
    if node.op_type in others:
        yield f"{node.op_type} {index} becomes {others[node.op_type]}", _retyped(index, others[node.op_type])
    for attribute in node.attribute:
        if attribute.name in ("pads", "strides", "dilations"):
            yield f"{node.op_type} {index}: other {attribute.name}", _turned(index, attribute.name)


def _of_all_weights() -> Iterator[tuple[str, Spoil]]:
    yield "all weights in float16", _every(lambda v: v.astype(np.float16).astype(np.float32))
    yield "all weights in bfloat16", _every(lambda v: (v.view(np.uint32) & 0xFFFF0000).view(np.float32))
    for factor in (0.999, 1.0001, 1.001):
        yield f"all weights by {factor}", _every(lambda v, factor=factor: v * np.float32(factor))


def _of_the_file(content: bytes, generator: np.random.Generator) -> Iterator[tuple[str, Spoil]]:
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        yield f"cut off after {share:.1%}", lambda c, share=share: c[: int(share * len(c))]
    for _ in range(20):
        where, bit = int(generator.integers(len(content))), int(generator.integers(8))
        yield f"bit {bit} of byte {where}", lambda c, w=where, b=bit: c[:w] + bytes([c[w] ^ (1 << b)]) + c[w + 1 :]


def _weights(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(content: bytes) -> bytes:
        model = onnx.load_from_string(content)
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        tensor.CopyFrom(
            numpy_helper.from_array(np.ascontiguousarray(change(numpy_helper.to_array(tensor).copy())), name)
        )
        return bytes(model.SerializeToString())

    return spoil


def _every(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(content: bytes) -> bytes:
        model = onnx.load_from_string(content)
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype == np.float32:
                tensor.CopyFrom(numpy_helper.from_array(change(values), tensor.name))
        return bytes(model.SerializeToString())

    return spoil


def _scaled(where: int, factor: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values.flat[where] *= np.float32(factor)
        return values

    return change


def _channel(axis: int, factor: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        np.moveaxis(values, axis, 0)[1] *= np.float32(factor)
        return values

    return change


def _retyped(index: int, kind: str) -> Spoil:
    def spoil(content: bytes) -> bytes:
        model = onnx.load_from_string(content)
        node = model.graph.node[index]
        if kind == "Identity":
            del node.attribute[:]
        node.op_type = kind
        return bytes(model.SerializeToString())

    return spoil


def _turned(index: int, attribute: str) -> Spoil:
    def spoil(content: bytes) -> bytes:
        model = onnx.load_from_string(content)
        [found] = [a for a in model.graph.node[index].attribute if a.name == attribute]
        found.ints[0] += 1
        return bytes(model.SerializeToString())

    return spoil
