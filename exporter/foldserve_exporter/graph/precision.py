"""Computations that stay in float32 in a float64 model: they limit how exact a reference can be."""

from collections.abc import Mapping
from typing import Any

import keras

from .ir import Graph, Node, Op
from .tensorflow_function import TensorFlowFunction, is_narrow

_NO_FLOAT64_KERNEL = (keras.layers.AveragePooling3D, keras.layers.MaxPooling3D)
_KNOWN_CODE = ("keras", __name__.split(".")[0])
_RESIZING = ("Resize", "Resizing", "CenterCrop")


def lacks_float64_kernel(kind: type[Any]) -> bool:
    """True if TensorFlow has no float64 kernel for a layer on a CPU, so that it has to be float32."""
    return kind in _NO_FLOAT64_KERNEL


def is_custom_code(kind: type[Any]) -> bool:
    """True if an op runs code that is neither Keras' nor the exporter's own, and so may require float32."""
    return kind in (keras.layers.Lambda, TensorFlowFunction) or kind.__module__.split(".")[0] not in _KNOWN_CODE


def float32_only(graph: Graph) -> tuple[str, ...]:
    """Paths of the ops that compute, or may compute, in float32 whatever dtype the graph is rebuilt in."""
    return tuple(dict.fromkeys(node.op.path for node in graph.nodes if _computes_narrow(graph, node)))


def _computes_narrow(graph: Graph, node: Node) -> bool:
    if node.op.kind is not TensorFlowFunction:
        return _is_narrow(node.op)
    specs = [graph.spec(ref) for ref in node.inputs]
    return is_narrow(node.op.config, [(spec.shape, spec.dtype) for spec in specs])


def _is_narrow(op: Op) -> bool:
    if issubclass(op.kind, keras.layers.UpSampling2D):
        return bool(op.config.get("interpolation") != "nearest")
    if is_custom_code(op.kind):
        return True
    return lacks_float64_kernel(op.kind) or op.kind.__name__ in _RESIZING or _wraps_narrow(op.config)


def _wraps_narrow(config: Mapping[str, Any]) -> bool:
    inner = config.get("layer")
    return isinstance(inner, Mapping) and inner.get("class_name") in {kind.__name__ for kind in _NO_FLOAT64_KERNEL}
