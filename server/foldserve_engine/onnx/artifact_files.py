"""An ONNX model in memory, as it was read and compared with its seal."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OnnxFiles:
    """A model and the files that hold its larger weights.

    Attributes:
        model: The model's own bytes.
        external: By the name under which the model refers to it, the content of every other file. What is not here is
            not read from anywhere.
    """

    model: bytes
    external: Mapping[str, bytes] = field(default_factory=dict)
