"""What a configuration of Keras 2 asks for: known classes alone, and nothing that inference has no use for.

Nothing is made from a configuration before it went through here: what is not known by name is refused by name.
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
    """The configuration with known classes, float32 throughout, and without initialisers, regularisers and constraints.

    Args:
        config: As the file has it.
        path: The file, for messages.
        trust_code: Whether Lambda layers are allowed.
        custom: Names of classes of the author's own whose modules were imported.

    Raises:
        Refused: It asks for code or for a class that is not known; the message names the layer and the remedy.
    """
    return _Sanitizer(path, trust_code, custom, known_layers()).object(config)


def known_layers() -> frozenset[str]:
    """The layers that both Kerases have, and those that are rebuilt from others."""
    import keras
    import tf_keras

    both = set(dir(keras.layers)) & set(dir(tf_keras.layers))
    layers = {name for name in both if _is_layer(getattr(keras.layers, name))}
    return frozenset(layers - {"Lambda", "TFSMLayer"} | _WITHOUT_COUNTERPART)


def _is_layer(value: Any) -> bool:
    import keras

    return isinstance(value, type) and issubclass(value, keras.layers.Layer)


class _Sanitizer:
    """One walk through a configuration."""

    def __init__(self, path: Path, trust_code: bool, custom: frozenset[str], known: frozenset[str]) -> None:
        self.path = path
        self.trust_code = trust_code
        self.custom = custom
        self.known = known

    def object(self, entry: Mapping[str, Any]) -> Any:
        """A layer or model: `class_name` and `config`."""
        name = str(entry["class_name"])
        name = str(entry.get("registered_name") or name) if entry.get("registered_name") in self.custom else name
        name = _RENAMED.get(name, name)
        self._allow(name, entry)
        kept = {key: value for key, value in entry.items() if key not in _NEW_STYLE}
        config = entry.get("config")
        if isinstance(config, Mapping):
            config = _repaired(name, {key: self._value(key, value) for key, value in config.items()})
        elif isinstance(config, list):  # a Sequential of Keras 2.1 is a bare list of layers
            config = [self._item(item) for item in config]
        return {**kept, "class_name": name, "config": config}

    def _allow(self, name: str, entry: Mapping[str, Any]) -> None:
        if name in MODELS or name in self.known or name in self.custom:
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
        """tf-keras calls an operator's function as soon as it makes the model."""
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
    """The same model with no learning phase baked into its calls."""
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


def _repaired(name: str, config: dict[str, Any]) -> dict[str, Any]:
    if name == "GRU":  # Keras 2.1 had one kind of GRU, which is not today's default
        return {"reset_after": False, **config}
    return config


def _dtype(value: Any) -> Any:
    """Policies of mixed precision, and other widths of floats, become float32; integers stay."""
    if isinstance(value, Mapping):
        return "float32"
    return "float32" if value is None or "float" in str(value) else value
