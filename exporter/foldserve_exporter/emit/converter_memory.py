"""Memory of tf2onnx: its conversion holds a few copies of the weights at once instead of dozens.

Measured on a U-Net of 57 MB, tf2onnx 1.17 took 2.7 GB more than before it began:

- After each optimisation it writes every attribute into the node's message anew, the weights too. Protobuf frees what a
  message gave up only together with the message, so that each of some 30 rounds added the size of the model. Here every
  round writes a new message, and the one before is freed.
- TensorFlow's graph optimizer copies the graph about ten times. Here large weights are not in it meanwhile. tf2onnx
  folds constants once more afterwards, with the weights in their places.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import tf2onnx
from tensorflow.core.framework import graph_pb2

LARGE_BYTES = 1 << 18
_COPIED_FIELDS = ("name", "op_type", "domain", "doc_string")


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Makes tf2onnx convert with few copies of the weights within the `with` block."""
    node, loader = tf2onnx.graph.Node, tf2onnx.tf_loader
    update_proto, optimize = node.update_proto, loader.tf_optimize
    node.update_proto = _into_new_message(update_proto)
    loader.tf_optimize = _without_large_weights(optimize)
    try:
        yield
    finally:
        node.update_proto, loader.tf_optimize = update_proto, optimize


def _into_new_message(update_proto: Callable[..., None]) -> Callable[..., None]:
    def update(node: Any, *arguments: Any, **words: Any) -> None:
        before = node._op
        node._op = onnx.NodeProto(**{field: getattr(before, field) for field in _COPIED_FIELDS})
        update_proto(node, *arguments, **words)

    return update


def _without_large_weights(optimize: Callable[..., Any]) -> Callable[..., Any]:
    def optimized(inputs: list[str], outputs: list[str], graph: Any) -> Any:
        light, weights = _take_weights(graph, {name.split(":")[0] for name in outputs})
        result = optimize(inputs, outputs, light)
        _put_back(result, weights)
        return result

    return optimized


def _take_weights(graph: Any, kept: set[str]) -> tuple[Any, dict[str, Any]]:
    """A copy of the graph in which large constants are placeholders, and these constants by name."""
    light = graph_pb2.GraphDef(versions=graph.versions)
    light.library.MergeFrom(graph.library)
    weights = {}
    for node in graph.node:
        if node.op == "Const" and node.name not in kept and node.ByteSize() >= LARGE_BYTES:
            weights[node.name] = node
            light.node.append(_placeholder(node))
        else:
            light.node.append(node)
    return light, weights


def _placeholder(constant: Any) -> Any:
    """A placeholder of a constant's name, dtype and shape."""
    node = type(constant)(name=constant.name, op="Placeholder", device=constant.device, input=constant.input)
    node.attr["dtype"].CopyFrom(constant.attr["dtype"])
    node.attr["shape"].shape.CopyFrom(constant.attr["value"].tensor.tensor_shape)
    return node


def _put_back(graph: Any, weights: dict[str, Any]) -> None:
    for node in graph.node:
        if node.name in weights:
            node.CopyFrom(weights[node.name])
