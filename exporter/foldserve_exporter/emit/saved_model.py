"""SavedModel of a folded model, with one signature, `serving_default`."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from foldserve_contract.signature import DEFAULT_SIGNATURE, Signature, TensorSpec

from ..naming import NamedModel


def serving_function(model: NamedModel, signature: Signature) -> Any:
    """A `tf.function` of one tensor for each input, in learning phase 0. Both artifacts are made from it."""
    names = [spec.name for spec in signature.inputs]

    def serve(*tensors: Any) -> dict[str, Any]:
        return model.call(dict(zip(names, tensors, strict=True)), training=False)

    return tf.function(serve, input_signature=tensor_specs(signature), autograph=False)


def tensor_specs(signature: Signature) -> list[Any]:
    """TensorFlow's specs of the inputs, with their names."""
    return [_tensor_spec(spec) for spec in signature.inputs]


def _tensor_spec(spec: TensorSpec) -> Any:
    shape = [None if size == -1 else size for size in spec.shape]
    return tf.TensorSpec(shape, tf.dtypes.as_dtype(spec.dtype), name=spec.name)


def write_saved_model(function: Any, model: NamedModel, directory: Path) -> None:
    """Writes `saved_model.pb` and `variables/` into an existing directory."""
    concrete = function.get_concrete_function()
    module = tf.Module()
    module.weights = [variable.value for variable in model.model.variables]
    tf.saved_model.save(module, str(directory), signatures={DEFAULT_SIGNATURE: concrete})
