"""Sensitivity of the golden samples: the smallest change of one weight that they notice."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from foldserve_contract.signature import Array, Arrays

from ..graph import rebuild, trace
from ..naming import NamedModel

_SAMPLES = 1
Sensitivity = Mapping[str, float | None]


def sensitivity(model: NamedModel, golden: Arrays, promised: Mapping[str, float]) -> dict[str, float | None]:
    """The relative change of a weight of median influence that moves an output beyond its tolerance, by kernel.

    To first order a change of weight w by the share δ moves output y by |∂y/∂w|·|w|·δ, so that the smallest δ noticed
    is promised / (|∂y/∂w|·|w|). The largest element of every output of one sample is examined. None where
    no change of such a weight is noticed.

    It is computed in float64, for which TensorFlow does not use oneDNN: oneDNN's gradient of a pointwise
    convolution with strides and few channels writes past its memory (oneDNN issue 6035) and ends the process.
    """
    model = NamedModel(rebuild(trace(model.model), "float64"), model.inputs, model.outputs)
    kernels = [variable for variable in model.model.trainable_variables if len(variable.shape) > 1]
    influence = [np.zeros(tuple(kernel.shape)) for kernel in kernels]
    for gradients in _gradients(model, golden, promised, kernels):
        for index, gradient in enumerate(gradients):
            if gradient is not None:
                influence[index] = np.maximum(influence[index], np.abs(gradient * np.array(kernels[index])))
    return {kernel.path: _smallest(values) for kernel, values in zip(kernels, influence, strict=True)}


def _gradients(
    model: NamedModel, golden: Arrays, promised: Mapping[str, float], kernels: list[Any]
) -> Iterator[list[Array | None]]:
    """Gradients of single elements of the outputs, each in units of its promised tolerance."""
    rows = next(iter(golden.values())).shape[0]
    for row in range(min(rows, _SAMPLES)):
        inputs = {name: tf.constant(array[row : row + 1]) for name, array in golden.items()}
        with tf.GradientTape(persistent=True) as tape:
            outputs = model.call(inputs)
            peaks = [
                tf.reduce_max(output) / promised[name]
                for name, output in outputs.items()
                if output.dtype.is_floating and promised[name] > 0
            ]
        for peak in peaks:
            by_kernel = tape.gradient(peak, [kernel.value for kernel in kernels])
            yield [None if gradient is None else np.asarray(tf.convert_to_tensor(gradient)) for gradient in by_kernel]


def _smallest(influence: Array) -> float | None:
    median = float(np.median(influence))
    return 1 / median if median > 0 else None
