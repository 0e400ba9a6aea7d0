"""Interpolating UpSampling2D for images whose height and width are open until a call.

Keras' own asks for sizes that are numbers when it is traced, and fails on open ones with TensorFlow's own error.
"""

from typing import Any

import keras
import tensorflow as tf


class OpenUpSampling2D(keras.layers.UpSampling2D):  # type: ignore[misc]  # Keras is not typed
    """The UpSampling2D of channels-last images that reads their sizes when it is called."""

    def call(self, images: Any) -> Any:
        """The images, `size` times as high and wide, interpolated as Keras does."""
        sizes = tf.shape(images)[1:3] * tf.constant(self.size)
        return tf.cast(tf.image.resize(images, sizes, method=self.interpolation), images.dtype)
