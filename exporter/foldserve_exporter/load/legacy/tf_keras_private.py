"""Accessors of tf-keras' private attributes, which no other module reads."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LayerCall:
    """Call of a layer in a functional model: its arguments and output tensors."""

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: Any


def calls_in_order(model: Any) -> Iterator[LayerCall]:
    """The calls of a functional model in topological order."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                yield LayerCall(node.layer, tuple(node.call_args), dict(node.call_kwargs), node.outputs)


def result_specs(call: LayerCall) -> list[tuple[tuple[int | None, ...] | None, str]]:
    """Shape (None where not even the rank is certain) and dtype of every result of a call."""
    import tensorflow as tf

    results = tf.nest.flatten(call.outputs)
    return [(None if r.shape.rank is None else tuple(r.shape.as_list()), r.dtype.name) for r in results]


def structure(model: Any) -> tuple[Any, Any]:
    """Inputs and outputs of a functional model, in the structure they are given and returned in."""
    return model._nested_inputs, model._nested_outputs


def is_graph(model: Any) -> bool:
    """True if a model has a functional graph: subclassed models and Sequentials without an input shape do not."""
    return bool(getattr(model, "_is_graph_network", False))


def takes_any_batch(model: Any) -> bool:
    """True for a Sequential: without an Input layer it is built on the batch that it is first called on."""
    import tf_keras

    return isinstance(model, tf_keras.Sequential)


def weights_in_file_order(layer: Any) -> list[Any]:
    """A layer's variables in the order in which HDF5 files hold them."""
    from tf_keras.src.saving.legacy.hdf5_format import _legacy_weights

    return list(_legacy_weights(layer))


def preprocess_weights(layer: Any, values: list[Any], version: str) -> list[Any]:
    """The arrays of an older file in the shapes of tf-keras' layer (those of recurrent layers changed)."""
    from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    return list(preprocess_weights_for_loading(layer, values, version, "tensorflow"))


def saved_metadata(content: bytes) -> Any:
    """The parsed `keras_metadata.pb` of a SavedModel directory."""
    from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

    return SavedMetadata.FromString(content)


@contextmanager
def deserialization(objects: Mapping[str, Any], *, trust_code: bool) -> Iterator[None]:
    """Scope in which tf-keras finds custom objects by their names, and runs code of the file only if it is trusted."""
    import tf_keras
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    with tf_keras.saving.custom_object_scope(dict(objects)), SafeModeScope(safe_mode=not trust_code):
        yield


def function_of_code(code: Any, objects: Mapping[str, Any]) -> Any:
    """A lambda function of a file, from code that is trusted.

    Args:
        code: The code, defaults and closure, as tf-keras serializes them.
        objects: What its names stand for, beside those that TensorFlow, NumPy and Keras usually have.
    """
    import numpy as np
    import tensorflow as tf
    import tf_keras
    from tf_keras.src.utils.generic_utils import func_load

    names = {"tf": tf, "np": np, "K": tf_keras.backend, "keras": tf_keras, "tf_keras": tf_keras}
    return func_load(code, globs={**names, **objects})
