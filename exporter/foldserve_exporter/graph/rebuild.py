"""Graph to Keras model: every layer new, every weight copied, one dtype throughout."""

from typing import Any

import keras

from ..error_text import error_text
from ..errors import Refused
from . import keras_private as private
from .instantiate import assign_weights, instantiate
from .ir import Graph, Node, Op, Ref, map_refs
from .precision import is_custom_code, lacks_float64_kernel
from .unique_names import op_names


def rebuild(graph: Graph, dtype: str = "float32") -> Any:
    """A new functional model that computes a graph in ``dtype``, with no learning phase baked in and no dropout.

    A BatchNormalization that is still in the graph follows the phase of the outermost call and nothing else: a
    reference is called with ``training=False``.

    Args:
        graph: A graph from `trace` or from the fold.
        dtype: "float32", or "float64" for a reference to measure against; each weight is cast once.

    Returns:
        A `keras.Model` with the graph's input names, structures and integer input dtypes; the batch is dynamic.

    Raises:
        Refused: a layer cannot be instantiated; the message names it and the remedy.
    """
    builder = _Builder(graph, dtype)
    inputs = [_input(graph, position, dtype) for position in range(len(graph.inputs))]
    outputs = builder.run(inputs)
    return keras.Model(
        inputs=keras.tree.map_structure(lambda position: inputs[position], graph.input_structure),
        outputs=keras.tree.map_structure(lambda position: outputs[position], graph.output_structure),
        name=graph.name,
    )


def _input(graph: Graph, position: int, dtype: str) -> Any:
    spec = graph.inputs[position]
    return keras.Input(
        batch_shape=(None, *spec.shape[1:]), dtype=dtype if spec.is_float else spec.dtype, name=_name(graph, position)
    )


def _name(graph: Graph, position: int) -> str:
    """The name of an input: its key in a dict of inputs, as Keras requires, else the graph's name for it."""
    structure = graph.input_structure
    keys = [key for key, at in structure.items() if at == position] if isinstance(structure, dict) else []
    return keys[0] if keys else graph.inputs[position].name


class _Builder:
    def __init__(self, graph: Graph, dtype: str) -> None:
        self.graph = graph
        self.dtype = dtype
        self.names = op_names(graph)
        self.layers: dict[int, Any] = {}
        self.tensors: dict[Ref, Any] = {}

    def run(self, inputs: list[Any]) -> list[Any]:
        self.tensors = {Ref(-1, position): tensor for position, tensor in enumerate(inputs)}
        for node in self.graph.nodes:
            self._call(node)
        return [self._output(ref) for ref in self.graph.output_refs]

    def _call(self, node: Node) -> None:
        args, kwargs = map_refs((node.args, dict(node.kwargs)), self.tensors.__getitem__)
        is_first_call = id(node.op) not in self.layers
        results = self._result_of(node.op, args, kwargs)
        for position, tensor in enumerate(keras.tree.flatten(results)):
            self.tensors[Ref(node.key, position)] = private.marked_dense(tensor)
        if is_first_call and node.op.weights:
            assign_weights(self.layers[id(node.op)], node.op)

    def _result_of(self, op: Op, args: Any, kwargs: Any) -> Any:
        """Call a layer; custom code that takes float32 alone runs in float32, in a float64 model too."""
        if op.refusal:
            raise Refused(op.refusal)
        try:
            return self._layer(op, self.dtype)(*args, **kwargs)
        except Exception as error:
            if self.dtype == "float32" or not is_custom_code(op.kind):
                raise Refused(
                    f"{op.path}: a {op.kind.__name__} cannot be called in {self.dtype} for inference:"
                    f" {error_text(error)}"
                ) from error
        del self.layers[id(op)]
        return self._layer(op, "float32")(*args, **kwargs)

    def _layer(self, op: Op, dtype: str) -> Any:
        if id(op) not in self.layers:
            dtype = "float32" if lacks_float64_kernel(op.kind) else dtype
            self.layers[id(op)] = instantiate(op, self.names[id(op)], dtype)
        return self.layers[id(op)]

    def _output(self, ref: Ref) -> Any:
        """The tensor of an output; Keras needs a layer in between where an output is an input of the model."""
        tensor = self.tensors[ref]
        return keras.layers.Identity(dtype=self.dtype)(tensor) if ref.is_input else tensor
