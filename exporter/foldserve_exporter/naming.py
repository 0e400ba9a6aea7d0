"""Tensor names of a rebuilt model, as artifacts, manifest and wire protocols share them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from foldserve_contract.errors import TensorError
from foldserve_contract.signature import Array, Arrays, Signature, TensorSpec

from .errors import Refused
from .graph import Graph
from .graph.servable_names import servable_names


@dataclass(frozen=True, slots=True, eq=False)
class NamedModel:
    """A Keras model with named inputs and outputs, in the order in which Keras flattens them."""

    model: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, model: Any, graph: Graph) -> "NamedModel":
        """Wraps a model rebuilt from a graph, with the graph's names as a SavedModel can hold them.

        Raises:
            Refused: Two names become one.
        """
        return cls(model, *servable_names(graph.input_names, graph.output_names))

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Calls the model on tensors by name; traceable by `tf.function`."""
        flat = [inputs[name] for name in self.inputs]
        structured = keras.tree.pack_sequence_as(self.model.input, flat)
        outputs = keras.tree.flatten(self.model(structured, training=training))
        return dict(zip(self.outputs, outputs, strict=True))

    def run(self, inputs: Arrays, training: bool = False) -> dict[str, Array]:
        """Runs the model on arrays by name, eagerly."""
        outputs = self.call({name: keras.ops.convert_to_tensor(inputs[name]) for name in inputs}, training)
        return {name: np.asarray(output) for name, output in outputs.items()}

    def signature(self) -> Signature:
        """Names, dtypes and shapes as the artifacts will have them.

        Raises:
            Refused: An output's first dimension is not the batch, or a tensor has a dtype no bundle can hold.
        """
        try:
            return Signature(_specs(self.inputs, self.model.inputs), _specs(self.outputs, self.model.outputs))
        except TensorError as error:
            raise Refused(f"the model's signature cannot be served: {error}") from error


def _specs(names: tuple[str, ...], tensors: Any) -> tuple[TensorSpec, ...]:
    return tuple(_spec(name, tensor) for name, tensor in zip(names, tensors, strict=True))


def _spec(name: str, tensor: Any) -> TensorSpec:
    shape = tuple(-1 if size is None else int(size) for size in tensor.shape)
    return TensorSpec(name, keras.backend.standardize_dtype(tensor.dtype), shape)
