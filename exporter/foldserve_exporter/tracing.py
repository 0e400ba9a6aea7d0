"""A model as a graph function, which is how both artifacts run it."""

from collections.abc import Callable

import tensorflow as tf

from foldserve_contract.signature import Array, Arrays

from .naming import NamedModel

Run = Callable[[Arrays], dict[str, Array]]


def traced(model: NamedModel, *, training: bool) -> Run:
    """Arrays in, arrays out, through a function traced once, now, for all sizes of what may have several."""
    specs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype)
        for name, tensor in zip(model.inputs, model.model.inputs, strict=True)
    }
    function = tf.function(lambda inputs: model.call(inputs, training=training), autograph=False)
    concrete = function.get_concrete_function(specs)

    def run(inputs: Arrays) -> dict[str, Array]:
        outputs = concrete({name: tf.constant(array) for name, array in inputs.items()})
        return {name: output.numpy() for name, output in outputs.items()}

    return run
