"""Sound models other than the verified one."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from foldserve_contract.manifest import Source
from foldserve_exporter.graph import rebuild, trace
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.naming import NamedModel
from foldserve_exporter.steps.fold import FoldedModel, fold_model

from .bench import SEED, network


class InTraining(NamedModel):
    """A model that runs in learning phase 1, whatever the caller requests."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return super().call(inputs, training=True)


def others(sound: FoldedModel) -> dict[str, Callable[[], NamedModel]]:
    """Functions that make such models, by name; those called in training hold random layers or batch statistics."""
    return {
        "another model": lambda: _folded(network(22)),
        "the model before its last training step": lambda: _folded(_nudged(network(SEED))),
        "a wrong epsilon": lambda: _folded(network(SEED, epsilon=1.1e-3)),
        "batch statistics": lambda: _in_training(NamedModel.of(rebuild(trace(network(SEED))), sound.graph)),
        "a BatchNormalization put back": lambda: _in_training(behind(sound.model, _neutral())),
        "live dropout": lambda: _in_training(behind(sound.model, keras.layers.Dropout(0.02, seed=1))),
        "live noise": lambda: _in_training(behind(sound.model, keras.layers.GaussianNoise(0.01, seed=1))),
        "live augmentation": lambda: _in_training(behind(sound.model, keras.layers.RandomFlip(seed=1))),
    }


def behind(named: NamedModel, layer: Any) -> NamedModel:
    """The model with a layer before it."""
    image = keras.Input((11, 9, 3), name="image")
    [scores] = keras.tree.flatten(named.model(layer(image)))
    return NamedModel(keras.Model(image, scores), named.inputs, named.outputs)


def baked(named: NamedModel) -> NamedModel:
    """The model with a BatchNormalization before it, in whose call the learning phase is baked."""
    image = keras.Input((11, 9, 3), name="image")
    layer = _neutral()
    [scores] = keras.tree.flatten(named.model(layer(image, training=True)))
    return NamedModel(keras.Model(image, scores), named.inputs, named.outputs)


def _neutral() -> Any:
    """A BatchNormalization that is the identity on its moving statistics."""
    layer = keras.layers.BatchNormalization(epsilon=1e-3)
    layer.build((None, 11, 9, 3))
    layer.moving_variance.assign(np.full(3, 1 - 1e-3))
    return layer


def _folded(model: keras.Model) -> NamedModel:
    return fold_model(Loaded(model, Source("other", ""))).model


def _in_training(named: NamedModel) -> NamedModel:
    return InTraining(named.model, named.inputs, named.outputs)


def _nudged(model: keras.Model) -> keras.Model:
    kernel = model.get_layer(index=1).kernel
    kernel.assign(np.array(kernel) * np.float32(1.002))
    return model
