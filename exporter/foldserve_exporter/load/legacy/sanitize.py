"""Sanitizing of Keras 2 configurations: allowed classes alone, without arguments that inference does not need.

Nothing is constructed from a configuration before it is sanitized; a class that is not in the list of allowed ones is
refused by name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import Refused
from .operators import SLICE, is_known

MODELS = ("Model", "Functional", "Sequential")
OPERATORS = ("TFOpLambda", "SlicingOpLambda")
_RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
}
_WITHOUT_COUNTERPART = frozenset({"ThresholdedReLU"})
_UNUSED = ("_initializer", "_regularizer", "_constraint")
_NEW_STYLE = ("module", "registered_name", "build_config", "shared_object_id")


def sanitize_config(config: Any, path: Path, *, trust_code: bool = False, custom: frozenset[str] = frozenset()) -> Any:
    """The configuration in float32, of allowed classes, without initialisers, regularisers and constraints.

    Args:
        config: The configuration, as it is in the file.
        path: The file, for messages.
        trust_code: True if Lambda layers are allowed.
        custom: Names of custom classes whose modules were imported.

    Raises:
        Refused: It needs code or a class that is not allowed; the message names the layer and the remedy.
    """
    return _Sanitizer(path, trust_code, custom, allowed_layers()).object(config)


def allowed_layers() -> frozenset[str]:
    """Names of the layers that both Keras 3 and tf-keras have, and of those that are rebuilt from others."""
    import keras
    import tf_keras

    both = set(dir(keras.layers)) & set(dir(tf_keras.layers))
    layers = {name for name in both if _is_layer(getattr(keras.layers, name))}
    return frozenset(layers - {"Lambda", "TFSMLayer"} | _WITHOUT_COUNTERPART)


def _is_layer(value: Any) -> bool:
    import keras

    return isinstance(value, type) and issubclass(value, keras.layers.Layer)


class _Sanitizer:
    """Recursive pass over a configuration."""

    def __init__(self, path: Path, trust_code: bool, custom: frozenset[str], layers: frozenset[str]) -> None:
        self.path = path
        self.trust_code = trust_code
        self.custom = custom
        self.layers = layers

    def object(self, entry: Mapping[str, Any]) -> Any:
        """Sanitizes a layer or model: `class_name` and `config`."""
        name = str(entry["class_name"])
        name = str(entry.get("registered_name") or name) if entry.get("registered_name") in self.custom else name
        name = _RENAMED.get(name, name)
        self._allow(name, entry)
        kept = {key: value for key, value in entry.items() if key not in _NEW_STYLE}
        config = entry.get("config")
        if isinstance(config, Mapping):
            config = _with_keras2_defaults(name, {key: self._value(key, value) for key, value in config.items()})
        elif isinstance(config, list):  # a Sequential of Keras 2.1 is a bare list of layers
            config = [self._item(item) for item in config]
        return {**kept, "class_name": name, "config": config}

    def _allow(self, name: str, entry: Mapping[str, Any]) -> None:
        if name in MODELS or name in self.layers or name in self.custom:
            return
        config = entry.get("config")
        layer = config.get("name", name) if isinstance(config, Mapping) else name
        if name in OPERATORS:
            self._allow_operator(name, config, layer)
            return
        if name == "Lambda":
            if self.trust_code:
                return
            raise Refused(
                f"{self.path}: layer {layer!r} is a Lambda, which runs code from the file;"
                " replace it with layers, or pass --trust-code if you made the file"
            )
        raise Refused(
            f"{self.path}: layer {layer!r} is of the class {name}, which foldserve does not know from Keras 2."
            " If it is yours, name with --custom-objects the module that registers it with tf_keras and with keras"
        )

    def _allow_operator(self, kind: str, config: Any, layer: str) -> None:
        """Checks an operator's function, which tf-keras calls as soon as it constructs the model."""
        function = config.get("function") if isinstance(config, Mapping) else None
        if not is_known(function) or (function == SLICE) != (kind == "SlicingOpLambda"):
            raise Refused(
                f"{self.path}: layer {layer!r} applies tf.{function}, which foldserve does not know in Keras 3;"
                " write it with layers, or rebuild the model with keras.ops and copy the weights"
            )

    def _value(self, key: str, value: Any) -> Any:
        if key.endswith(_UNUSED):
            return "zeros" if key.endswith("_initializer") and value is not None else None
        if key == "dtype":
            return _dtype(value)
        return self._item(value)

    def _item(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("class_name") in ("__tuple__", "TensorShape"):
                return [self._item(item) for item in value.get("items", ())]
            if isinstance(value.get("class_name"), str):
                return self.object(value)
            return {key: self._value(key, item) for key, item in value.items()}
        return [self._item(item) for item in value] if isinstance(value, list) else value


def without_training_arguments(config: Any) -> Any:
    """The configuration of the same model with no learning phase baked into its calls."""
    if isinstance(config, Mapping):
        return {
            key: _without_training(value) if key == "inbound_nodes" else without_training_arguments(value)
            for key, value in config.items()
        }
    return [without_training_arguments(item) for item in config] if isinstance(config, list) else config


def _without_training(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_training(item) for key, item in value.items() if key != "training"}
    return [_without_training(item) for item in value] if isinstance(value, list) else value


def _with_keras2_defaults(name: str, config: dict[str, Any]) -> dict[str, Any]:
    if name == "GRU":  # Keras 2.1 had one kind of GRU, which is not today's default
        return {"reset_after": False, **config}
    return config


def _dtype(value: Any) -> Any:
    """The dtype for a dtype or policy: float32 for mixed precision and floats of any width; integers stay."""
    if isinstance(value, Mapping):
        return "float32"
    return "float32" if value is None or "float" in str(value) else value
