"""Decompositions of TensorFlow operations that ONNX has no node for, into those that it has."""

from collections.abc import Callable, Iterator
from typing import Any

from onnx import TensorProto, helper


def decompose(graph: Any) -> None:
    """Decomposes such operations in place, in the bodies of loops and branches too."""
    nodes = [part for node in graph.node for part in _decomposed(node)]
    del graph.node[:]
    graph.node.extend(nodes)
    for body in _bodies(graph):
        decompose(body)


def _bodies(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.graphs
            if attribute.HasField("g"):  # else reading it would make one
                yield attribute.g


def _decomposed(node: Any) -> Iterator[Any]:
    write = _DECOMPOSITIONS.get(node.op_type) if not node.domain else None
    if write is None:
        yield node
        return
    written = _NodeWriter(node.name or node.output[0])
    write(written, node)
    written.nodes[-1].output[:] = node.output
    yield from written.nodes


class _NodeWriter:
    """Writer of the nodes that replace a node, under that node's name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[Any] = []

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node; returns the name of its output."""
        name = f"{self.name}/{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def number(self, value: float) -> str:
        """Adds a constant; returns its name."""
        return self("Constant", value_float=value)


def _erfc(write: _NodeWriter, node: Any) -> None:
    """Writes erfc(x) as 1 − erf(x); TensorFlow's exact GELU has it."""
    write("Sub", write.number(1.0), write("Erf", *node.input))


def _expm1(write: _NodeWriter, node: Any) -> None:
    """Writes exp(x) − 1 as tanh(x/2)·(exp(x) + 1), which is as exact near 0 as far from it."""
    (x,) = node.input
    tanh = write("Tanh", write("Mul", x, write.number(0.5)))
    write("Mul", tanh, write("Add", write("Exp", x), write.number(1.0)))


def _log1p(write: _NodeWriter, node: Any) -> None:
    """Writes log(1 + x) as log(u) − ((u − 1) − x)/u with u = 1 + x rounded: the rounding error of the sum is corrected.

    Goldberg, "What every computer scientist should know about floating-point arithmetic" (1991), theorem 4, in the form
    that also holds where u is 1. For x from 1 on the error is negligible, and infinity has no difference; at −1 the
    quotient would be 0/0.
    """
    (x,) = node.input
    unit = write.number(1.0)
    u = write("Add", x, unit)
    log = write("Log", u)
    error = write("Sub", write("Sub", u, unit), x)
    corrected = write("Sub", log, write("Div", error, write("Max", u, write.number(_LEAST))))
    write("Where", write("Less", x, unit), corrected, log)


def _bucketize(write: _NodeWriter, node: Any) -> None:
    """Writes the number of boundaries that are not above x; TensorFlow compares in float, and NaN is below none."""
    (x,) = node.input
    boundaries = next(tuple(attribute.floats) for attribute in node.attribute if attribute.name == "boundaries")
    last = write("Constant", value_ints=[-1])
    column = write("Unsqueeze", write("Cast", x, to=TensorProto.FLOAT), last)
    is_below = write("Less", column, write("Constant", value_floats=boundaries))
    write("ReduceSum", write("Cast", write("Not", is_below), to=TensorProto.INT32), last, keepdims=0)


_LEAST = 2.0**-24  # u is 0 or no less than this
_DECOMPOSITIONS: dict[str, Callable[[_NodeWriter, Any], None]] = {
    "Bucketize": _bucketize,
    "Erfc": _erfc,
    "Expm1": _expm1,
    "Log1p": _log1p,
}
