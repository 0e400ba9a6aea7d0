"""A model as a graph function, which is how both artifacts run it."""

from collections.abc import Callable

import tensorflow as tf

from foldserve_contract.signature import Array, Arrays

from .error_text import error_text
from .errors import Refused
from .naming import NamedModel

Run = Callable[[Arrays], dict[str, Array]]


def traced(model: NamedModel, *, training: bool) -> Run:
    """Arrays in, arrays out, through a function traced once, now, for all sizes of what may have several.

    Raises:
        Refused: Code of the user's own in the model cannot be traced, and so cannot be in any artifact.
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
            f"TensorFlow cannot trace the model's code, of which every artifact is made: {error_text(error)} Make "
            "layers and variables in constructors or in build(), and leave decisions about values to keras.ops.where."
        ) from error

    def run(inputs: Arrays) -> dict[str, Array]:
        outputs = concrete({name: tf.constant(array) for name, array in inputs.items()})
        return {name: output.numpy() for name, output in outputs.items()}

    return run
