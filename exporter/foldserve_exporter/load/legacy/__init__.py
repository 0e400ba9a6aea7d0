"""Models of Keras 2, rebuilt in Keras 3 layer by layer and held against tf-keras' answers."""

from .opening import open_legacy

__all__ = ["open_legacy"]
