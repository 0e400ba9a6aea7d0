"""Ways to spoil `model.onnx`. Each is a name and a function from the sound file's content to a spoiled one's."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .weights import OF_ALL, Change, cut_off, flipped_bit, of_one, replaced

Spoil = Callable[[bytes], bytes]
_SHARES = (0.0, 0.1, 0.5, 0.9, 0.999)
_OTHERS = {
    "Relu": "Identity",
    "Add": "Sub",
    "ReduceMean": "ReduceMax",
    "Softmax": "Identity",
    "MaxPool": "AveragePool",
}


def onnx_spoils(content: bytes, seed: int = 0) -> Iterator[tuple[str, Spoil]]:
    """All changes that apply to this model; the same for the same seed."""
    generator = np.random.default_rng(seed)
    model = onnx.load_from_string(content)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and tensor.dims:
            for name, change in of_one(tensor.name, values, generator):
                yield name, _weights(tensor.name, change)
    for index, node in enumerate(model.graph.node):
        yield from _of_node(index, node)
    for name, change in OF_ALL.items():
        yield name, _every(change)
    for share in _SHARES:
        yield f"cut off after {share:.1%}", partial(cut_off, share)
    for _ in range(20):
        name, flipped = flipped_bit(content, generator)
        yield name, partial(replaced, flipped)


def _of_node(index: int, node: Any) -> Iterator[tuple[str, Spoil]]:
    if node.op_type in _OTHERS:
        yield f"{node.op_type} {index} becomes {_OTHERS[node.op_type]}", _retyped(index, _OTHERS[node.op_type])
    for attribute in node.attribute:
        if attribute.name in ("pads", "strides", "dilations"):
            yield f"{node.op_type} {index}: other {attribute.name}", _turned(index, attribute.name)


def _edited(edit: Callable[[Any], None]) -> Spoil:
    def spoil(content: bytes) -> bytes:
        model = onnx.load_from_string(content)
        edit(model)
        return bytes(model.SerializeToString())

    return spoil


def _weights(name: str, change: Change) -> Spoil:
    def edit(model: Any) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        values = np.ascontiguousarray(change(numpy_helper.to_array(tensor).copy()))
        tensor.CopyFrom(numpy_helper.from_array(values, name))

    return _edited(edit)


def _every(change: Change) -> Spoil:
    def edit(model: Any) -> None:
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype == np.float32:
                tensor.CopyFrom(numpy_helper.from_array(change(values), tensor.name))

    return _edited(edit)


def _retyped(index: int, kind: str) -> Spoil:
    def edit(model: Any) -> None:
        node = model.graph.node[index]
        if kind == "Identity":
            del node.attribute[:]
        node.op_type = kind

    return _edited(edit)


def _turned(index: int, attribute: str) -> Spoil:
    def edit(model: Any) -> None:
        [existing] = [a for a in model.graph.node[index].attribute if a.name == attribute]
        existing.ints[0] += 1

    return _edited(edit)


def _renamed(model: Any) -> None:
    for index, node in enumerate(model.graph.node):
        node.name = f"node_{index}"


def _as_constants(model: Any) -> None:
    for tensor in reversed(model.graph.initializer):
        model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    del model.graph.initializer[:]


def _swapped_sums(model: Any) -> None:
    for node in [node for node in model.graph.node if node.op_type == "Add"]:
        node.input[:] = list(reversed(node.input))


SOUND: dict[str, Spoil] = {
    "as it is": lambda content: content,
    "other names of nodes": _edited(_renamed),
    "weights as constants": _edited(_as_constants),
    "sums the other way round": _edited(_swapped_sums),
    "with a description": _edited(lambda model: setattr(model, "doc_string", "sound")),
}
