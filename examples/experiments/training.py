"""Heads, training, and accuracy in every learning phase."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Labelled = tuple[Array, Array]
BATCH = 32


@dataclass(frozen=True, slots=True)
class History:
    """Accuracy by epoch: as `fit` showed it in training, and on the validation data (phase 0)."""

    shown: list[float]
    validated: list[float]


def with_head(backbone: Any) -> Any:
    import keras

    head = keras.layers.Dense(10, activation="softmax", name="classes")
    return keras.Sequential([keras.Input(backbone.input_shape[1:]), backbone, head])


def head_for(features: Array) -> Any:
    import keras

    head = keras.layers.Dense(10, activation="softmax", name="classes")
    return keras.Sequential([keras.Input(features.shape[1:]), head])


def fit(model: Any, on: Labelled, *, rate: float, epochs: int, validate: Labelled | None = None) -> History:
    """Trains in the usual way, and reports each epoch on stderr."""
    import keras

    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: _report_epoch(epoch + 1, epochs, logs))
    history = model.fit(
        *on, batch_size=BATCH, epochs=epochs, validation_data=validate, callbacks=[progress], verbose=0
    ).history
    return History(history["accuracy"], history.get("val_accuracy", []))


def dynamic(model: Any, x: Array, y: Array) -> float:
    """Accuracy as `fit` shows it, with the phase of each layer chosen by Keras: one epoch at a rate of zero."""
    import keras

    with unmoved(model):
        model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return float(model.fit(x, y, batch_size=BATCH, verbose=0).history["accuracy"][0])


def phase_0(model: Any, x: Array, y: Array) -> float:
    """Accuracy of `predict`, with moving statistics."""
    return accuracy(model.predict(x, verbose=0), y)


def phase_1(model: Any, x: Array, y: Array) -> float:
    """Accuracy with the statistics of the batch, of up to 256 images."""
    with unmoved(model):
        parts = np.array_split(x, -(-len(x) // 256))
        return accuracy(np.concatenate([np.asarray(model(part, training=True)) for part in parts]), y)


def accuracy(scores: Array, labels: Array) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))


@contextmanager
def unmoved(model: Any) -> Iterator[None]:
    """Restores all variables at the end: a call in training mode changes the moving statistics."""
    before = [(variable, np.array(variable)) for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def _report_epoch(epoch: int, epochs: int, logs: dict[str, float]) -> None:
    again = "\r" if sys.stderr.isatty() else ""
    if again or epoch == epochs:
        ending = "\n" if epoch == epochs else ""
        print(f"{again}  epoch {epoch} of {epochs}: {logs['accuracy']:.1%}", end=ending, file=sys.stderr, flush=True)
