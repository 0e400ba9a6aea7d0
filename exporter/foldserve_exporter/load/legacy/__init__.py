"""Models of Keras 2, rebuilt in Keras 3 layer by layer and compared with tf-keras' answers."""

from .custom import custom_objects
from .open_model import open_legacy

__all__ = ["custom_objects", "open_legacy"]
