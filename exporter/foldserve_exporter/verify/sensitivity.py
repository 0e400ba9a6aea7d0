"""Sensitivity of the golden samples: the smallest change of one weight that they notice."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph, rebuild, trace
from ..naming import NamedModel
from .perturbation import Perturbation
from .row_sensitivity import row_elements

_MOST = 16  # golden samples examined
_LEAST = 4
_ELEMENTS = 4e8  # of all layers' results for all of them: seconds, whatever the model
Sensitivity = Mapping[str, float | None]


def sensitivity(model: NamedModel, golden: Arrays, promised: Mapping[str, float]) -> dict[str, float | None]:
    """The relative change of a weight of median influence that moves an output beyond its tolerance, by kernel.

    To first order a change of weight w by the share δ moves output y by |∂y/∂w|·|w|·δ, so that the smallest δ noticed
    is promised / (|∂y/∂w|·|w|). Golden samples spread evenly over all are examined, each in that element of every
    output which moves most where all weights do (the largest one of a softmax or a tanh is saturated and says nothing),
    and in all elements together. None where no change of such a weight is noticed.

    It is computed in float64, for which TensorFlow does not use oneDNN: oneDNN's gradient of a pointwise
    convolution with strides and few channels writes past its memory (oneDNN issue 6035) and ends the process.
    """
    graph = trace(model.model)
    model = NamedModel(rebuild(graph, "float64"), model.inputs, model.outputs)
    kernels = [variable for variable in model.model.trainable_variables if len(variable.shape) > 1]
    influence = [np.zeros(tuple(kernel.shape)) for kernel in kernels]
    for gradients in _gradients(model, _examined(graph, golden), promised, kernels):
        for index, gradient in enumerate(gradients):
            if gradient is not None:
                influence[index] = np.maximum(influence[index], np.abs(gradient * kernels[index].numpy()))
    return {kernel.path: _smallest(values) for kernel, values in zip(kernels, influence, strict=True)}


def _examined(graph: Graph, golden: Arrays) -> Iterator[Arrays]:
    """Rows one by one, spread evenly: the first is the most sensitive, the last a stretched one where there are any."""
    count = len(next(iter(golden.values())))
    most = min(max(_LEAST, int(_ELEMENTS / row_elements(graph, golden))), _MOST, count)
    for row in np.unique(np.linspace(0, count - 1, most).astype(int)):
        yield {name: array[row : row + 1] for name, array in golden.items()}


def _gradients(
    model: NamedModel, rows: Iterator[Arrays], promised: Mapping[str, float], kernels: list[Any]
) -> Iterator[list[Array | None]]:
    """Gradients of what is examined, each in units of its output's promised tolerance."""
    perturbation = Perturbation(kernels, seed=0)
    judged = [name for name, tolerance in promised.items() if tolerance > 0]
    for row in rows:
        inputs = {name: tf.constant(array) for name, array in row.items()}
        with perturbation.applied():
            moved = model.call(inputs)
        with tf.GradientTape(persistent=True) as tape:
            outputs = model.call(inputs)
            examined = [part / promised[name] for name in judged for part in _parts(outputs[name], moved[name])]
        for part in examined:
            by_kernel = tape.gradient(part, [kernel.value for kernel in kernels])
            yield [None if gradient is None else np.asarray(tf.convert_to_tensor(gradient)) for gradient in by_kernel]


def _parts(output: Any, moved: Any) -> Iterator[Any]:
    """The element of an output that moves most; and all of them with random signs, in the size of a single one.

    With g the gradients of n elements, Σ ±g is about √n·g: n is the number of elements that share the movement,
    (Σ d²)² / Σ d⁴. The second part reaches weights that only other elements depend on, as those of a last Dense do.
    """
    values = tf.reshape(output, [-1])
    apart = np.abs(np.asarray(values) - np.asarray(moved).ravel())
    yield values[int(np.argmax(apart))]
    if (apart**4).sum() > 0:
        sharing = (apart**2).sum() ** 2 / (apart**4).sum()
        signs = np.random.default_rng(0).choice((-1.0, 1.0), apart.size)
        yield tf.reduce_sum(values * signs) / np.sqrt(sharing)


def _smallest(influence: Array) -> float | None:
    median = float(np.median(influence))
    return 1 / median if median > 0 else None
