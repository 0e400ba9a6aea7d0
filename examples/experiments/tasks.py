"""Tasks of transfer learning: images, classes, and backbones that were trained on other images."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

import backbones
import numpy as np
from command import Options, report
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Task:
    """Images and labels to learn from, and those held back.

    By default scikit-learn's digits are the domain that backbones are trained on, and the same digits inverted and with
    less contrast the one they are transferred to. With ImageNet's weights it is CIFAR-10.
    """

    train_x: Array
    train_y: Array
    held_x: Array
    held_y: Array
    imagenet: bool

    def backbone(self, name: str) -> Any:
        """Makes a pretrained backbone that ends in a vector: `resnet`, with BatchNormalization, or `vgg`, without."""
        if not self.imagenet:
            return backbones.small(name, *digits(1200))
        report(f"{name}: ImageNet's weights")
        with downloading(f"{name}'s weights"):
            return backbones.from_imagenet(name, self.train_x.shape[1:])


def task(options: Options) -> Task:
    """Makes the task of the command line; everything random is seeded."""
    import keras

    keras.utils.set_random_seed(7)
    return cifar(options.images, options.side) if options.imagenet else shifted_digits(options.images)


def digits(rows: int) -> tuple[Array, Array]:
    """Loads the first digits, or the last if `rows` is negative, in an order that is always the same."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    chosen = order[:rows] if rows > 0 else order[rows:]
    images = (data.images[chosen] / 16).repeat(2, axis=1).repeat(2, axis=2)[..., np.newaxis]
    return images.astype(np.float32), data.target[chosen]


def shifted_digits(rows: int) -> Task:
    (train_x, train_y), (held_x, held_y) = digits(rows), digits(-rows)
    return Task(_shifted(train_x), train_y, _shifted(held_x), held_y, imagenet=False)


def cifar(rows: int, side: int) -> Task:
    import keras

    report("CIFAR-10")
    with downloading("CIFAR-10"):
        (train_x, train_y), (held_x, held_y) = keras.datasets.cifar10.load_data()

    def prepared(images: Array) -> Array:
        larger = np.array(keras.ops.image.resize(images[:rows].astype(np.float32), (side, side)))
        return np.asarray(keras.applications.resnet50.preprocess_input(larger))  # that of VGG19 is the same

    return Task(prepared(train_x), train_y[:rows, 0], prepared(held_x), held_y[:rows, 0], imagenet=True)


@contextmanager
def downloading(what: str) -> Iterator[None]:
    """Sends Keras' output to stderr; a failed download ends the script with one sentence."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as error:
        not_reached = type(error) is Exception  # the class that Keras raises in place of urllib's errors
        if not (not_reached or isinstance(error, OSError | HTTPException)):
            raise
        sys.exit(
            f"--weights imagenet: {what} cannot be downloaded ({error}). Run it once where there is a network and carry"
            " ~/.keras here, or leave --weights out: then nothing is downloaded."
        )


def _shifted(images: Array) -> Array:
    return (1.3 - 0.6 * images).astype(np.float32)
