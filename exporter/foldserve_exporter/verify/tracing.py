"""A model as a graph function, which is how both artifacts run it."""

from collections.abc import Callable

import tensorflow as tf

from foldserve_contract.signature import Array, Arrays

from ..naming import NamedModel


def traced(model: NamedModel, *, training: bool) -> Callable[[Arrays], dict[str, Array]]:
    """Arrays in, arrays out, through a `tf.function` traced once for all batch sizes."""
    function = tf.function(lambda inputs: model.call(inputs, training=training), reduce_retracing=True)

    def run(inputs: Arrays) -> dict[str, Array]:
        outputs = function({name: tf.constant(array) for name, array in inputs.items()})
        return {name: output.numpy() for name, output in outputs.items()}

    return run
