"""Backbones that end in a vector of features: small ones, trained here, and those of `keras.applications`."""

from typing import Any

from command import report
from numpy.typing import NDArray
from training import fit, with_head

Array = NDArray[Any]
_TRAINED: dict[str, list[Array]] = {}


def from_imagenet(name: str, shape: tuple[int, ...]) -> Any:
    from keras.applications import VGG19, ResNet50

    return {"resnet": ResNet50, "vgg": VGG19}[name](include_top=False, pooling="avg", input_shape=shape)


def small(name: str, images: Array, labels: Array) -> Any:
    """Makes a backbone with weights trained on these images; trains once in a run."""
    make, epochs = {"resnet": (small_resnet, 20), "vgg": (small_vgg, 12)}[name]
    backbone = make(images.shape[1:])
    if name not in _TRAINED:
        report(f"{name}: pretrained on {len(images)} digits")
        fit(with_head(backbone), (images, labels), rate=1e-3, epochs=epochs)
        _TRAINED[name] = backbone.get_weights()
    backbone.set_weights(_TRAINED[name])
    return backbone


def small_resnet(shape: tuple[int, ...]) -> Any:
    import keras
    from keras import layers

    def block(x: Any, filters: int, strides: int) -> Any:
        shortcut = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides=strides)(x))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, strides=strides, padding="same")(x)))
        x = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x))
        return layers.ReLU()(layers.Add()([x, shortcut]))

    image = keras.Input(shape)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(image)))
    x = block(block(block(x, 16, 1), 32, 2), 64, 2)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x), name="resnet")


def small_vgg(shape: tuple[int, ...]) -> Any:
    import keras
    from keras import layers

    x = image = keras.Input(shape)
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(layers.Conv2D(filters, 3, padding="same", activation="relu")(x))
    return keras.Model(image, layers.Flatten()(x), name="vgg")
