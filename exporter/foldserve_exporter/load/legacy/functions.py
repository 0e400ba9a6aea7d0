"""Functions that a Keras 2 configuration names: activations, and the function of a Lambda layer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import Refused
from .custom import CustomObjects
from .tf_keras_private import function_of_code

ACTIVATIONS = ("activation", "recurrent_activation")
_LAMBDA = "<lambda>"
_OF_SHAPES = ("output_shape", "output_shape_module")


class FunctionNames:
    """Sanitizer of functions in the configuration of the model in ``path``."""

    def __init__(self, path: Path, trust_code: bool, custom: CustomObjects) -> None:
        self.path = path
        self.trust_code = trust_code
        self.custom = custom

    def activation(self, value: Any, layer: str) -> Any:
        """The name of an activation function, or its code where that is trusted.

        Raises:
            Refused: The function is code of the file, or nobody has it.
        """
        if _is_code(value):
            return self._code(value, layer)
        spellings = (value,) if isinstance(value, str) else (value.get("config"), value.get("registered_name"))
        name = self.custom.find(*spellings) or str(spellings[0])
        if name in self.custom.old or _is_stock(name):
            return name
        raise Refused(
            f"{self.path}: layer {layer!r} has the activation {name!r}, which Keras does not have;"
            f" name the function with --custom-objects '{name}=package.module:function'"
        )

    def _code(self, value: Mapping[str, Any], layer: str) -> Any:
        if _LAMBDA in self.custom.old:
            return _LAMBDA
        if self.trust_code:
            return self._function_of(value)
        raise Refused(
            f"{self.path}: layer {layer!r} has a lambda function as its activation, which is code in the file; name"
            f" the function with --custom-objects '{_LAMBDA}=package.module:function', or pass --trust-code if you"
            " made the file"
        )

    def lambda_arguments(self, arguments: Mapping[str, Any], function: Any) -> dict[str, Any]:
        """The arguments of a Lambda layer that was allowed, with its function as an object; shapes are inferred."""
        name = _function_name(function)
        found = self._function_of(function) if name is None else self.custom.old[self.custom.find(name) or name]
        kept = {key: value for key, value in arguments.items() if key not in _OF_SHAPES}
        raw = {"function_type": "raw", "output_shape": None, "output_shape_type": "raw", "module": None}
        return {**kept, **raw, "function": found}

    def _function_of(self, code: Any) -> Any:
        return function_of_code(_code_of(code), self.custom.old)

    def allow_lambda(self, config: Any, layer: str) -> None:
        """Checks a Lambda layer: a function with a name has to be a custom one, and code has to be trusted.

        Raises:
            Refused: It is neither.
        """
        name = _named_function(config)
        if name is not None and self.custom.find(name):
            return
        if name is not None:
            raise Refused(
                f"{self.path}: layer {layer!r} is a Lambda of the function {name!r}, which is not in the file; name it"
                f" with --custom-objects '{name}=package.module:function'"
            )
        if not self.trust_code:
            raise Refused(
                f"{self.path}: layer {layer!r} is a Lambda, which runs code from the file;"
                " replace it with layers, or pass --trust-code if you made the file"
            )


def is_function(value: Any) -> bool:
    """True if a value of a configuration is a function: by its name, registered, or code."""
    if isinstance(value, str):
        return True
    return isinstance(value, Mapping) and (value.get("class_name") == "function" or _is_code(value))


def _is_code(value: Any) -> bool:
    """True for the code of a lambda function, with a class or (tf-keras in HDF5 files) without one."""
    return isinstance(value, Mapping) and (value.get("class_name", _LAMBDA) in ("__lambda__", _LAMBDA))


def _is_stock(name: str) -> bool:
    import tf_keras

    return callable(getattr(tf_keras.activations, name, None)) or hasattr(tf_keras.layers, name)


def _named_function(config: Any) -> str | None:
    """The name of the function that a Lambda applies; None where it is code."""
    if not isinstance(config, Mapping) or config.get("function_type") not in (None, "function"):
        return None
    return _function_name(config.get("function"))


def _function_name(value: Any) -> str | None:
    if isinstance(value, Mapping) and value.get("class_name") == "function":
        value = value.get("config")
    return value if isinstance(value, str) else None


def _code_of(value: Any) -> Any:
    """Code, defaults and closure of a serialized lambda function as a list, in whichever form a file has them."""
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") == "__tuple__":
        return value["items"]
    inner = value.get("config", value)
    code = inner["value"] if isinstance(inner, Mapping) else inner
    return code if isinstance(code, list) else [code, inner.get("defaults"), inner.get("closure")]
