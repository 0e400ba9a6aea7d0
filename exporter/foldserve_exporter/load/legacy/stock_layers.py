"""Stock layers: those that Keras 3 and tf-keras both have."""


def stock_layers() -> frozenset[str]:
    """Names of the layers that both have and that a file may name; those that run code of the file are not."""
    import keras
    import tf_keras

    both = set(dir(keras.layers)) & set(dir(tf_keras.layers))
    return frozenset(name for name in both if _is_layer(getattr(keras.layers, name))) - {"Lambda", "TFSMLayer"}


def _is_layer(value: object) -> bool:
    import keras

    return isinstance(value, type) and issubclass(value, keras.layers.Layer)
