"""Operations of TensorFlow that ONNX has no node for, written with those that it has."""

from collections.abc import Callable, Iterator
from typing import Any

from onnx import TensorProto, helper


def decompose(graph: Any) -> None:
    """Changes a graph in place, with the bodies of its loops and branches."""
    nodes = [part for node in graph.node for part in _parts(node)]
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


def _parts(node: Any) -> Iterator[Any]:
    write = _DECOMPOSITIONS.get(node.op_type) if not node.domain else None
    if write is None:
        yield node
        return
    written = _NodeWriter(node.name or node.output[0])
    write(written, node)
    written.nodes[-1].output[:] = node.output
    yield from written.nodes


class _NodeWriter:
    """Nodes under the name of the one whose place they take."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[Any] = []

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """One more node; the name of what it makes."""
        name = f"{self.name}/{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def number(self, value: float) -> str:
        """A number."""
        return self("Constant", value_float=value)


def _erfc(write: _NodeWriter, node: Any) -> None:
    """TensorFlow's exact GELU is made with erfc(x); ONNX has erf(x) = 1 − erfc(x)."""
    write("Sub", write.number(1.0), write("Erf", *node.input))


def _expm1(write: _NodeWriter, node: Any) -> None:
    """exp(x) − 1 = tanh(x/2)·(exp(x) + 1), which is as exact near 0 as far from it."""
    (x,) = node.input
    tanh = write("Tanh", write("Mul", x, write.number(0.5)))
    write("Mul", tanh, write("Add", write("Exp", x), write.number(1.0)))


def _log1p(write: _NodeWriter, node: Any) -> None:
    """With u = 1 + x rounded, log(u) − ((u − 1) − x)/u: what the sum lost is given back.

    Goldberg, "What every computer scientist should know about floating-point arithmetic" (1991), theorem 4, in the form
    that also holds where u is 1. From 1 on nothing is lost that would count, and infinity has no difference; at −1 the
    quotient would be 0/0.
    """
    (x,) = node.input
    one = write.number(1.0)
    u = write("Add", x, one)
    log = write("Log", u)
    lost = write("Sub", write("Sub", u, one), x)
    given_back = write("Sub", log, write("Div", lost, write("Max", u, write.number(_LEAST))))
    write("Where", write("Less", x, one), given_back, log)


def _bucketize(write: _NodeWriter, node: Any) -> None:
    """How many boundaries are not above x; TensorFlow compares whole numbers as floats, and NaN is below none."""
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
