"""Demonstration on real data: train, fine-tune, see the BatchNormalization fault, export, verify, serve, call.

The data are scikit-learn's handwritten digits. A small residual network is trained on them and fine-tuned on a shifted
domain (inverted, with less contrast) in the usual way: a new head on the frozen backbone, then everything for a few
steps at a small rate. With BatchNormalization's momentum of 0.99 the moving statistics then lag behind the weights.
The bundle serves what the model predicts, faults included; recalibrated, the same weights predict as in training.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from foldserve import Client
from foldserve_exporter.runtime import import_quietly

Array = NDArray[Any]

FOLDER = Path(__file__).parent.parent / ".demo"
MODEL = FOLDER / "digits.keras"
MODELS = FOLDER / "models"
SAMPLES = FOLDER / "samples.npy"
BIN = Path(sys.executable).parent


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    (train_x, train_y), (held_x, held_y) = shifted_digits()
    heading("1. Train a residual CNN, then fine-tune it on a shifted domain")
    fine_tune(train_x, train_y)
    np.save(SAMPLES, train_x)
    heading("2. Its predictions in both learning phases")
    expected = show_fault(held_x, held_y)
    heading("3. export-model: fold, verify, publish")
    export: list[str | Path] = [BIN / "export-model", MODEL, "-o", MODELS, "--name", "digits", "--samples", SAMPLES]
    subprocess.run(export, check=True)
    heading("4. serve-model, and a client over gRPC")
    with served() as address, Client(address) as client:
        served_answers, rate = call(client, held_x)
        heading(
            "5. The remedy: moving statistics estimated again, without labels; the running server loads the new version"
        )
        subprocess.run([*export, "--recalibrate", SAMPLES, "--json"], check=True, stdout=subprocess.DEVNULL)
        client.wait_ready("digits", version=2)
        recalibrated = np.asarray(client.predict("digits", held_x))
    summarise(expected, served_answers, held_y, rate)
    remedied = accuracy(recalibrated, held_y)
    print(f"   accuracy after recalibration:   {remedied:.1%}   (digits/2, served since the reload)")


def digits() -> tuple[Array, Array]:
    data = load_digits()
    images = (data.images / 16).repeat(2, axis=1).repeat(2, axis=2)[..., np.newaxis].astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    return images[order], data.target[order]


def shifted_digits() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    images, labels = digits()
    shifted = (1.3 - 0.6 * images).astype(np.float32)
    return (shifted[:1200], labels[:1200]), (shifted[1200:], labels[1200:])


def backbone(keras: Any) -> Any:
    layers = keras.layers

    def block(x: Any, filters: int, strides: int) -> Any:
        shortcut = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides=strides)(x))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, strides=strides, padding="same")(x)))
        x = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x))
        return layers.ReLU()(layers.Add()([x, shortcut]))

    image = keras.Input((16, 16, 1), name="image")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(image)))
    x = block(block(block(x, 16, 1), 32, 2), 64, 2)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x), name="backbone")


def with_head(keras: Any, body: Any) -> Any:
    head = keras.layers.Dense(10, activation="softmax", name="probabilities")
    return keras.Sequential([keras.Input((16, 16, 1), name="image"), body, keras.layers.Dropout(0.2), head])


def fit(keras: Any, model: Any, x: Array, y: Array, rate: float, epochs: int) -> None:
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    print(f"   {epochs} epochs at {rate:g}: training accuracy {history.history['accuracy'][-1]:.1%}")


def fine_tune(x: Array, y: Array) -> None:
    import_quietly()
    import keras

    keras.utils.set_random_seed(1)
    images, labels = digits()
    body = backbone(keras)
    fit(keras, with_head(keras, body), images[:1200], labels[:1200], 2e-3, 12)
    body.trainable = False
    model = with_head(keras, body)
    fit(keras, model, x, y, 2e-3, 6)
    body.trainable = True
    fit(keras, model, x, y, 5e-4, 3)
    model.save(MODEL)


def show_fault(x: Array, y: Array) -> Array:
    import keras

    model = keras.saving.load_model(MODEL)
    phase_1 = np.asarray(model(x, training=True))  # this changes the statistics of the copy, not of the file
    phase_0 = np.asarray(keras.saving.load_model(MODEL).predict(x, verbose=0))
    print(f"   phase 0 (predict, moving statistics): accuracy {accuracy(phase_0, y):.1%}")
    print(f"   phase 1 (as in fit, batch statistics): accuracy {accuracy(phase_1, y):.1%}")
    print(f"   largest difference between the two: {np.abs(phase_0 - phase_1).max():.3f}")
    return phase_0


@contextmanager
def served() -> Iterator[str]:
    command: list[str | Path] = [BIN / "serve-model", MODELS, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield address_of(server)
    finally:
        server.terminate()
        if server.wait(60) != 0:
            sys.exit(f"serve-model ended with {server.returncode}")


def address_of(server: Any) -> str:
    for line in server.stdout:
        print("  ", line, end="")
        if match := re.search(r"serving on (\S+:\d+)", line):
            return match[1]
    sys.exit("serve-model ended before it served")


def call(client: Client, x: Array) -> tuple[Array, float]:
    client.wait_ready("digits")
    client.predict("digits", x[:32])
    repeats = 10
    began = time.perf_counter()
    for _ in range(repeats):
        answers = client.predict("digits", x)
    return np.asarray(answers), repeats * len(x) / (time.perf_counter() - began)


def summarise(expected: Array, answers: Array, y: Array, rate: float) -> None:
    heading("Result, on images that were held back")
    print(f"   accuracy of the Keras model:    {accuracy(expected, y):.1%}")
    print(f"   accuracy of the served model:   {accuracy(answers, y):.1%}")
    print(f"   largest difference between them: {np.abs(expected - answers).max():.2g}")
    print(f"   images per second over gRPC:    {rate:,.0f}")
    print(f"   report: {MODELS / 'digits' / '1' / 'report.html'}")


def accuracy(scores: Array, labels: Array) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
