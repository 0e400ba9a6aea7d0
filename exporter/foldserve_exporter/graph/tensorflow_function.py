"""Layer that calls a public function of TensorFlow as it is, where Keras 3 has no counterpart."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from ..errors import Refused
from . import call_arguments
from .public_functions import find_function
from .random_ops import RANDOM_IN_INFERENCE, RANDOM_OP

_WITHOUT_EFFECT = frozenset({"Assert", "Case", "If", "StatefulPartitionedCall", "While"})
"""Operations that count as stateful and have no effect of their own: what they call is looked at as well."""
OWN_LAYER = "foldserve>TensorFlowFunction"
"""The name under which a `.keras` file has this layer, which checks the function that the file names."""
Shapes = Sequence[Sequence[int | None] | None]


@keras.saving.register_keras_serializable("foldserve")
class TensorFlowFunction(keras.layers.Layer):  # type: ignore[misc]
    """Call of `tf.NAME` on a list of tensors; its results are a tensor, or a list of tensors.

    Floats of any width are those of the layer's dtype, in the arguments, in what the function is asked to cast to, and
    in the results.

    Attributes:
        function: The function's name below `tf`.
        arguments: Its positional arguments and its keyword arguments, as `call_arguments.encode` writes them.
        shapes: The shapes of the results, where more of them is certain than TensorFlow infers.

    Raises:
        Refused: The function may do more than compute tensors from tensors.
    """

    def __init__(self, function: str, arguments: Any, shapes: Shapes | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.function = function
        self.arguments = arguments
        self.shapes = shapes
        self._function = find_function(function)

    def call(self, inputs: Any) -> Any:
        """The results of the function."""
        return self._computed([self._as_float(tensor) for tensor in inputs])

    def compute_output_spec(self, inputs: Any) -> Any:
        """The shapes and dtypes that TensorFlow infers; a function that is not pure is refused."""
        results = self.traced([(tensor.shape, tensor.dtype) for tensor in inputs]).structured_outputs
        return keras.tree.map_structure(self._spec, results)

    def _spec(self, result: Any) -> Any:
        if result.shape.rank is None:
            raise Refused(f"tf.{self.function} answers with a tensor of unknown rank")
        return keras.KerasTensor(tuple(result.shape.as_list()), result.dtype.name)

    def traced(self, specs: Sequence[tuple[Any, str]]) -> Any:
        """The concrete function for tensors of these shapes and dtypes.

        Raises:
            Refused: It draws random numbers or keeps state, or its results are not dense tensors of numbers.
        """
        import tensorflow as tf

        tensors = [tf.TensorSpec(shape, dtype) for shape, dtype in specs]
        concrete = tf.function(self.call, autograph=False).get_concrete_function(tensors)
        for kind in _impure_operations(concrete.graph):
            reason = RANDOM_IN_INFERENCE if RANDOM_OP.search(kind) else "it keeps state, or has another effect"
            raise Refused(f"tf.{self.function} makes the operation {kind}: {reason}")
        return concrete

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"function": self.function, "arguments": self.arguments, "shapes": self.shapes}
        return {**super().get_config(), **own}

    def _computed(self, tensors: Sequence[Any]) -> Any:
        import tensorflow as tf

        args, kwargs = call_arguments.decode(self.arguments, tensors, self.compute_dtype)
        results = self._function(*args, **kwargs)
        flat = [self._result(value) for value in tf.nest.flatten(results)]
        for tensor, shape in zip(flat, self.shapes or (), strict=False):
            if shape is not None:
                tensor.set_shape(shape)
        return flat if isinstance(results, list | tuple | dict) else flat[0]

    def _result(self, value: Any) -> Any:
        import tensorflow as tf

        if not tf.is_tensor(value) or not isinstance(value, tf.Tensor) or value.dtype == tf.string:
            raise Refused(f"tf.{self.function} answers with {_kind(value)}, not with a tensor of numbers")
        return self._as_float(value)

    def _as_float(self, tensor: Any) -> Any:
        import tensorflow as tf

        return tf.cast(tensor, self.compute_dtype) if tf.as_dtype(tensor.dtype).is_floating else tensor


def is_narrow(op_config: Any, specs: Sequence[tuple[Any, str]]) -> bool:
    """True if a function computes in less than float64 where its tensors are float64."""
    layer = TensorFlowFunction(op_config["function"], op_config["arguments"], op_config["shapes"], dtype="float64")
    wide = [(shape, "float64" if "float" in dtype else dtype) for shape, dtype in specs]
    try:
        graph = layer.traced(wide).graph
    except Exception:  # no float64 kernel: it is called in float32
        return True
    computed = [tensor for operation in graph.get_operations() if operation.inputs for tensor in operation.outputs]
    return any(tensor.dtype.is_floating and tensor.dtype.size < np.dtype("float64").itemsize for tensor in computed)


def _impure_operations(graph: Any) -> Iterator[str]:
    """The types of a traced graph's operations with state, those of the functions that it calls included."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    for kind in dict.fromkeys(node.op for node in nodes):
        has_state = kind not in _WITHOUT_EFFECT and graph.op_def_for_type(kind).is_stateful
        if has_state or RANDOM_OP.search(kind):
            yield kind


def _kind(value: Any) -> str:
    return "strings" if str(getattr(value, "dtype", "")) == "<dtype: 'string'>" else f"a {type(value).__name__}"
