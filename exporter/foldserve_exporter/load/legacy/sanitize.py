"""Sanitizing of Keras 2 configurations: allowed classes alone, without arguments that inference does not need.

Nothing is constructed from a configuration before it is sanitized; a class that is not in the list of allowed ones is
refused by name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import Refused
from ...graph.public_functions import find_function
from .custom import CustomObjects
from .functions import ACTIVATIONS, FunctionNames, is_function
from .operator_nodes import read_arguments, require_all_arguments
from .operators import is_slice
from .stock_layers import stock_layers

MODELS = ("Model", "Functional", "Sequential")
OPERATORS = ("TFOpLambda", "SlicingOpLambda")
_OF_OTHER_TENSORS = ("ClassMethod", "InstanceMethod", "InstanceProperty")
_RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
}
_WITHOUT_COUNTERPART = frozenset({"ThresholdedReLU"})
_IF_YOURS = (
    "If it is yours, name its module with --custom-objects: one that has the class for tf_keras and one for keras, or"
    " that registers it with both"
)
_UNUSED = ("_initializer", "_regularizer", "_constraint")
_NEW_STYLE = ("module", "registered_name", "build_config", "shared_object_id")


def sanitize_config(config: Any, path: Path, *, trust_code: bool = False, custom: CustomObjects | None = None) -> Any:
    """The configuration in float32, of allowed classes, without initialisers, regularisers and constraints.

    Args:
        config: The configuration, as it is in the file.
        path: The file, for messages.
        trust_code: True if Lambda layers are allowed.
        custom: Custom classes and functions.

    Raises:
        Refused: It needs code or a class that is not allowed; the message names the layer and the remedy.
    """
    return _Sanitizer(path, trust_code, custom or CustomObjects()).object(config)


class _Sanitizer:
    """Recursive pass over a configuration."""

    def __init__(self, path: Path, trust_code: bool, custom: CustomObjects) -> None:
        self.path = path
        self.custom = custom
        self.functions = FunctionNames(path, trust_code, custom)
        self.layers = stock_layers() | _WITHOUT_COUNTERPART

    def object(self, entry: Mapping[str, Any]) -> Any:
        """Sanitizes a layer or model: `class_name` and `config`."""
        name = self.custom.find(entry.get("registered_name"), entry["class_name"]) or str(entry["class_name"])
        name = _RENAMED.get(name, name)
        config = entry.get("config")
        layer = str(config.get("name", name)) if isinstance(config, Mapping) else name
        self._allow(name, entry, layer)
        kept = {key: value for key, value in entry.items() if key not in _NEW_STYLE}
        if name in OPERATORS:
            kept["inbound_nodes"] = read_arguments(entry.get("inbound_nodes", []))
        if isinstance(config, Mapping):
            values = {key: self._argument(name, key, value, layer) for key, value in config.items()}
            if name == "Lambda":
                values = self.functions.lambda_arguments(values, config.get("function"))
            config = _with_keras2_defaults(name, values)
        elif isinstance(config, list):  # a Sequential of Keras 2.1 is a bare list of layers
            config = [self._item(item) for item in config]
        return {**kept, "class_name": name, "config": config}

    def _argument(self, kind: str, key: str, value: Any, layer: str) -> Any:
        """Sanitizes an argument of a layer's constructor; a custom class may mean anything by its own."""
        if key in ACTIVATIONS and is_function(value) and (kind not in self.custom.old or not isinstance(value, str)):
            return self.functions.activation(value, layer)
        return value if kind == "Lambda" and key == "function" else self._value(key, value)

    def _allow(self, name: str, entry: Mapping[str, Any], layer: str) -> None:
        if name in MODELS or name in self.layers or name in self.custom.old:
            return
        config = entry.get("config")
        if name in OPERATORS:
            self._allow_operator(name, config, layer, entry.get("inbound_nodes"))
            return
        if name == "Lambda":
            self.functions.allow_lambda(config, layer)
            return
        if name in _OF_OTHER_TENSORS:
            raise Refused(f"{self.path}: layer {layer!r} works on ragged or sparse tensors; make them dense before it")
        lacking = self.custom.what_lacks(entry.get("registered_name"), name)
        raise Refused(
            f"{self.path}: layer {layer!r} is of the class {name}, which foldserve does not know from Keras 2."
            f" {lacking or _IF_YOURS}"
        )

    def _allow_operator(self, kind: str, config: Any, layer: str, nodes: Any) -> None:
        """Checks an operator's function, which tf-keras calls as soon as it constructs the model."""
        function = str(config.get("function")) if isinstance(config, Mapping) else ""
        place = f"{self.path}: layer {layer!r} applies"
        if is_slice(function) != (kind == "SlicingOpLambda"):
            raise Refused(f"{place} tf.{function} as a {kind}, which Keras 2 did not write; save the model again")
        try:
            require_all_arguments(find_function(function), function, nodes)
        except Refused as refused:
            raise Refused(
                f"{place} {refused}. Write it with layers, or rebuild the model with keras.ops and copy the weights"
            ) from refused

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
