"""Low-rank adapters (LoRA), merged into the weights that they adapt."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .ir import Weight, as_array

_KEYS = ("lora_rank", "lora_alpha")


def read_weights(layer: Any) -> tuple[Weight, ...]:
    """The layer's weights, without adapters; a weight that has one is W + α/r · A·B, in float64."""
    if not getattr(layer, "lora_enabled", False):
        return tuple(Weight(variable.name, as_array(variable)) for variable in layer.weights)
    values = {variable.name: as_array(variable) for variable in layer.weights}
    return tuple(Weight(name, _merged(layer, name, values)) for name in values if not name.startswith("lora_"))


def without_adapter(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the same layer without an adapter."""
    return {key: value for key, value in config.items() if key not in _KEYS}


def _merged(layer: Any, name: str, values: Mapping[str, Any]) -> Any:
    first, second = values.get(f"lora_{name}_a"), values.get(f"lora_{name}_b")
    if first is None or second is None:
        return values[name]
    share = layer.lora_alpha / layer.lora_rank
    return values[name].astype(np.float64) + share * (first.astype(np.float64) @ second.astype(np.float64))
