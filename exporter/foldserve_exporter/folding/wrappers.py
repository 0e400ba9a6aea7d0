"""TimeDistributed wrappers as hosts: the layer in a wrapper absorbs the map, and its weights are the wrapper's."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras

from ..graph import Node, Op
from .refusal import Refusal, RefusalReason


def absorb_wrapped(node: Node, absorb: Callable[[Node], Op | Refusal]) -> Op | Refusal:
    """The TimeDistributed whose inner layer is the result of ``absorb``, or the refusal of that."""
    serialised: Mapping[str, Any] = node.op.config["layer"]
    kind = getattr(keras.layers, serialised["class_name"], None)
    inner = serialised["config"]
    if kind is None or serialised.get("registered_name") or inner.get("data_format") == "channels_first":
        return Refusal(RefusalReason.NOT_A_HOST, f"{node.op.path} wraps a layer of its own")
    absorbed = absorb(replace(node, op=replace(node.op, kind=kind, config=inner)))
    if isinstance(absorbed, Refusal):
        return absorbed
    config = {**node.op.config, "layer": {**serialised, "config": dict(absorbed.config)}}
    return replace(node.op, config=config, weights=absorbed.weights)
