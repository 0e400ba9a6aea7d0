"""Sensitivity of the golden samples: the smallest change of one weight that they notice."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from foldserve_contract.signature import Array, Arrays

from ..graph import rebuild, trace
from ..naming import NamedModel
from .perturbation import Perturbation

_FIRST = 3  # samples, which are the most sensitive ones; and the last, which is a stretched one where there are any
Sensitivity = Mapping[str, float | None]


def sensitivity(model: NamedModel, golden: Arrays, promised: Mapping[str, float]) -> dict[str, float | None]:
    """The relative change of a weight of median influence that moves an output beyond its tolerance, by kernel.

    To first order a change of weight w by the share δ moves output y by |∂y/∂w|·|w|·δ, so that the smallest δ noticed
    is promised / (|∂y/∂w|·|w|). Of a few samples, that element of every output is examined which moves most where all
    weights do: the largest one of a softmax or a tanh is saturated and says nothing. None where no change of such a
    weight is noticed.

    It is computed in float64, for which TensorFlow does not use oneDNN: oneDNN's gradient of a pointwise
    convolution with strides and few channels writes past its memory (oneDNN issue 6035) and ends the process.
    """
    model = NamedModel(rebuild(trace(model.model), "float64"), model.inputs, model.outputs)
    kernels = [variable for variable in model.model.trainable_variables if len(variable.shape) > 1]
    influence = [np.zeros(tuple(kernel.shape)) for kernel in kernels]
    for gradients in _gradients(model, golden, promised, kernels):
        for index, gradient in enumerate(gradients):
            if gradient is not None:
                influence[index] = np.maximum(influence[index], np.abs(gradient * kernels[index].numpy()))
    return {kernel.path: _smallest(values) for kernel, values in zip(kernels, influence, strict=True)}


def _gradients(
    model: NamedModel, golden: Arrays, promised: Mapping[str, float], kernels: list[Any]
) -> Iterator[list[Array | None]]:
    """Gradients of single elements of the outputs, each in units of its promised tolerance."""
    perturbation = Perturbation(kernels, seed=0)
    judged = [name for name, tolerance in promised.items() if tolerance > 0]
    for row in _examined(golden):
        inputs = {name: tf.constant(array[row : row + 1]) for name, array in golden.items()}
        with perturbation.applied():
            moved = model.call(inputs)
        with tf.GradientTape(persistent=True) as tape:
            outputs = model.call(inputs)
            elements = [_element(outputs[name], moved[name]) / promised[name] for name in judged]
        for element in elements:
            by_kernel = tape.gradient(element, [kernel.value for kernel in kernels])
            yield [None if gradient is None else np.asarray(tf.convert_to_tensor(gradient)) for gradient in by_kernel]


def _examined(golden: Arrays) -> list[int]:
    rows = len(next(iter(golden.values())))
    return sorted({*range(min(_FIRST, rows)), rows - 1})


def _element(output: Any, moved: Any) -> Any:
    """The element of an output that moves most."""
    apart = tf.abs(tf.reshape(output - moved, [-1]))
    return tf.reshape(output, [-1])[tf.argmax(apart)]


def _smallest(influence: Array) -> float | None:
    median = float(np.median(influence))
    return 1 / median if median > 0 else None
