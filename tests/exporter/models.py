"""Small Keras models with random weights, and the test for agreement of two models."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from foldserve_exporter.folding import Folded, fold
from foldserve_exporter.graph import rebuild, trace

EPS32 = float(np.finfo(np.float32).eps)


def randomise(model: Any, seed: int = 0) -> Any:
    """Give every weight a random value, variances a positive one; gains come out negative too."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if "float" not in variable.dtype:
            continue
        values = rng.normal(0, 0.5, variable.shape)
        positive = "variance" in variable.name or "stddev" in variable.name
        variable.assign(np.abs(values) + 0.1 if positive else values)
    return model


def samples(model: Any, rows: int = 5, seed: int = 1) -> Any:
    """Random inputs in the structure that a functional model takes."""
    rng = np.random.default_rng(seed)
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.tree.map_structure(
        lambda tensor: rng.normal(size=(rows, *(n or 6 for n in tensor.shape[1:]))).astype(np.float32), structure
    )


def flat(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


def reference(model: Any, inputs: Any) -> list[np.ndarray]:
    """The unfolded model in float64."""
    return flat(rebuild(trace(model), "float64")(inputs, training=False))


def misses(candidate: Sequence[np.ndarray], unfolded: Sequence[np.ndarray], exact: Sequence[np.ndarray]) -> bool:
    """Tests whether any output is further from the exact outputs than float32 explains; NaN is."""
    for got, plain, ref in zip(candidate, unfolded, exact, strict=True):
        bound = 8 * np.abs(plain - ref).max() + 16 * EPS32 * np.abs(ref).max()
        if not np.abs(got - ref).max() <= bound:
            return True
    return False


def assert_folds(model: Any, inputs: Any = None) -> Folded:
    """Fold a model and hold the result against the float64 reference and the untouched model, in both phases."""
    inputs = samples(model) if inputs is None else inputs
    exact, plain = reference(model, inputs), flat(model.predict(inputs, verbose=0))
    before = snapshot(model)
    folded = fold(model)
    assert snapshot(model) == before
    served, trained = (flat(folded.model(inputs, training=phase)) for phase in (False, True))
    assert not misses(served, plain, exact)
    assert all(np.array_equal(a, b) for a, b in zip(served, trained, strict=True))
    assert not any(isinstance(op, keras.layers.BatchNormalization) for op in folded.model.operations)
    return folded


def snapshot(model: Any) -> tuple[Any, ...]:
    """The parts of a model that must come back unchanged."""
    layers = list(model._flatten_layers())
    state = tuple((v.path, v.trainable, v.numpy().tobytes()) for v in model.variables)
    flags = tuple((layer.name, layer.trainable, len(layer._inbound_nodes)) for layer in layers)
    try:
        return state, flags, str(model.get_config())
    except NotImplementedError:
        return state, flags


def kinds(model: Any) -> list[str]:
    """Class names of a model's operations, inputs apart."""
    return [type(op).__name__ for op in model.operations if type(op).__name__ != "InputLayer"]


def actions(folded: Folded) -> list[str]:
    return [entry.action.value for entry in folded.plan]
