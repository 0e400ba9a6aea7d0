"""A model as a graph function, as both artifacts run it."""

from collections.abc import Callable

import tensorflow as tf

from foldserve_contract.signature import Array, Arrays

from .error_text import error_text
from .errors import Refused
from .naming import NamedModel

TracedFunction = Callable[[Arrays], dict[str, Array]]


def traced(model: NamedModel, *, training: bool) -> TracedFunction:
    """Traces the model at once into a function from arrays to arrays, one trace for all sizes of dynamic dimensions.

    Raises:
        Refused: User code in the model cannot be traced, so that no artifact can hold it.
    """
    specs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype)
        for name, tensor in zip(model.inputs, model.model.inputs, strict=True)
    }
    function = tf.function(lambda inputs: model.call(inputs, training=training), autograph=False)
    try:
        concrete = function.get_concrete_function(specs)
    except Exception as error:
        raise Refused(
            f"TensorFlow cannot trace the model's code, which every artifact needs: {error_text(error)} Make "
            "layers and variables in constructors or in build(), and leave decisions about values to keras.ops.where."
        ) from error

    def run(inputs: Arrays) -> dict[str, Array]:
        outputs = concrete({name: tf.constant(array) for name, array in inputs.items()})
        return {name: output.numpy() for name, output in outputs.items()}

    return run
