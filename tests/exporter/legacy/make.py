"""Makes the small models beside this file with a Keras of old, each with inputs and that Keras' own answers.

It runs in the old environment, not in the project's:

    python3.6  -m venv old && old/bin/pip install 'pip==21.3'
    old/bin/pip install keras==2.1.6 tensorflow==1.12.0 'protobuf<3.18' 'absl-py<1' 'h5py<3' 'numpy<1.17'
    old/bin/python make.py keras-2.1.6 keras nested.h5 separable.h5 epsilon.h5

    python3.10 -m venv old && old/bin/pip install tensorflow-cpu==2.10.1 'numpy<1.24' 'protobuf<3.20'
    old/bin/python make.py tfkeras-2.10 tf nested.h5 separable.h5 epsilon.h5 operators.h5 phases.h5 small

    python3.10 -m venv old && old/bin/pip install tensorflow-cpu==2.12.1 'numpy<1.24'
    old/bin/python make.py tfkeras-2.12 tf nested.keras small-v3.keras

    python3.10 -m venv old && old/bin/pip install tensorflow-cpu==2.15.1 'numpy<2'
    old/bin/python make.py tfkeras-2.15 tf nested.keras epsilon.h5

Every model is saved as FOLDER/NAME, with the arrays x and y (or y_0, y_1, ...) in FOLDER/NAME.npz. A name without an
ending is a SavedModel directory; nested.keras of tf.keras 2.12 is an HDF5 file, as that version wrote them unless it
was asked for more (-v3). The recipe is written for Python 3.6 as well.
"""

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

if sys.argv[2] == "keras":
    import keras
else:
    from tensorflow import keras
L = keras.layers
SHAPE = (10, 8, 3)


def nested():
    """A backbone in a Sequential, part of it thawed again: the file's order of weights is not that of a fresh model."""
    x = entry = L.Input(SHAPE)
    for number in (1, 2, 3):
        x = L.Conv2D(3, 3, padding="same", name=f"conv_{number}")(x)
        x = L.BatchNormalization(name=f"bn_{number}")(x)
        x = L.Activation("relu", name=f"relu_{number}")(x)
    backbone = keras.models.Model(entry, L.GlobalAveragePooling2D(name="pool")(x), name="backbone")
    model = keras.models.Sequential([backbone, L.Dropout(0.5, name="drop"), L.Dense(5, name="head")])
    randomise(model)
    backbone.trainable = False
    for name in ("conv_2", "bn_3"):
        backbone.get_layer(name).trainable = True
    return model, None


def small():
    """A frozen backbone and a head, small enough for a SavedModel with its graphs."""
    entry = L.Input(SHAPE)
    x = L.BatchNormalization(name="bn")(L.Conv2D(4, (3, 2), name="conv")(entry))
    backbone = keras.models.Model(entry, L.GlobalAveragePooling2D(name="pool")(x), name="backbone")
    backbone.trainable = False
    model = keras.models.Sequential([backbone, L.Dense(3, name="head")], name="small")
    randomise(model)
    return model, None


def separable():
    """Separable, depthwise and transposed convolutions, a shared Dense, a ReLU6 and two outputs."""
    entry = L.Input(SHAPE, name="image")
    x = L.SeparableConv2D(6, 3, padding="same", depth_multiplier=2, use_bias=False, name="sep")(entry)
    x = L.LeakyReLU(0.1, name="leaky")(L.BatchNormalization(axis=-1, name="bn_sep")(x))
    x = L.DepthwiseConv2D(3, strides=2, padding="same", name="depth")(x)
    x = L.BatchNormalization(center=False, epsilon=0.01, name="bn_depth")(x)
    x = L.PReLU(shared_axes=[1, 2], name="prelu")(x)
    x = L.BatchNormalization(scale=False, name="bn_up")(L.Conv2DTranspose(4, 3, strides=2, name="up")(x))
    x = L.ThresholdedReLU(theta=0.3, name="threshold")(L.ZeroPadding2D(1, name="pad")(x))
    x = L.Flatten(name="flat")(L.MaxPooling2D(3, name="pool")(x))
    shared = L.Dense(7, activation="hard_sigmoid", name="shared")
    head = L.BatchNormalization(name="bn_head")(shared(x))
    other = L.Concatenate(name="join")([shared(L.GaussianNoise(0.3, name="noise")(x)), head])
    outputs = [L.Dense(3, activation="softmax", name="kind")(other), L.Dense(1, name="size")(head)]
    model = keras.models.Model(entry, outputs)
    randomise(model)
    return model, None


def epsilon():
    """Channels that hardly vary, and an epsilon below the floor that fused BatchNormalization once had."""
    x = entry = L.Input(SHAPE, name="image")
    x = L.BatchNormalization(epsilon=1e-7, name="bn_image")(L.Conv2D(4, 3, name="conv")(x))
    x = L.Dense(6, name="dense")(L.GlobalAveragePooling2D(name="pool")(L.Activation("relu", name="relu")(x)))
    x = L.BatchNormalization(epsilon=1e-7, name="bn_row")(x)
    model = keras.models.Model(entry, L.Dense(3, name="head")(x))
    randomise(model)
    for name in ("bn_image", "bn_row"):
        layer = model.get_layer(name)
        gamma, beta, mean, variance = layer.get_weights()
        layer.set_weights([gamma * 0.01, beta, mean, np.linspace(1e-6, 2e-5, variance.size)])
    return model, None


def operators():
    """Model with plain operators on its tensors, of which tf.keras makes layers."""
    import tensorflow as tf

    entry = L.Input(SHAPE, name="image")
    x = L.BatchNormalization(name="bn")(L.Conv2D(4, 3, name="conv")(entry * 2.0 - 1.0))
    x = tf.nn.relu(x)[:, 1:, ::2] + tf.reduce_mean(x, axis=[1, 2], keepdims=True)
    x = tf.concat([x, 1.0 - x], axis=-1) / 3.0
    model = keras.models.Model(entry, L.Dense(3, name="head")(L.Flatten(name="flat")(x)))
    randomise(model)
    return model, None


def phases():
    """Learning phases baked into calls; the answers are those of a twin without them."""

    def make(baked, free):
        entry = L.Input(SHAPE, name="image")
        x = L.BatchNormalization(name="bn_on")(L.Conv2D(4, 3, name="conv")(entry), **baked)
        x = L.Dropout(0.5, name="drop")(x, **baked)
        x = L.BatchNormalization(name="bn_off")(x, **free)
        return keras.models.Model(entry, L.Dense(3, name="head")(L.GlobalAveragePooling2D(name="pool")(x)))

    model, twin = make({"training": True}, {"training": False}), make({}, {})
    randomise(model)
    twin.set_weights(model.get_weights())
    return model, twin


def randomise(model):
    """Every weight random, variances positive, gains of either sign."""
    generator = np.random.RandomState(7)
    for layer in flat(model):
        if not layer.weights:
            continue
        values = []
        for variable in layer.weights:
            drawn = generator.normal(0, 0.5, [int(n) for n in variable.shape])
            values.append(np.abs(drawn) + 0.1 if "variance" in variable.name else drawn)
        layer.set_weights(values)


def flat(model):
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from flat(layer)
        else:
            yield layer


def main():
    folder, names = Path(sys.argv[1]), sys.argv[3:]
    folder.mkdir(parents=True, exist_ok=True)
    x = np.random.RandomState(3).normal(0, 1, (8, *SHAPE)).astype(np.float32)
    for name in names:
        stem, ending = Path(name).stem, Path(name).suffix
        model, twin = globals()[stem.split("-")[0]]()
        answers = (twin or model).predict(x)
        answers = answers if isinstance(answers, list) else [answers]
        arrays = {"y" if len(answers) == 1 else f"y_{number}": y for number, y in enumerate(answers)}
        np.savez_compressed(str(folder / f"{name}.npz"), x=x, **arrays)
        options = {"save_format": "keras_v3"} if stem.endswith("-v3") else {}
        if ending != ".keras":
            options["include_optimizer"] = False
        model.save(str(folder / name), **options)


if __name__ == "__main__":
    main()
