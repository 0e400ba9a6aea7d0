"""Names of inputs and outputs as a SavedModel's signature and an ONNX model can hold them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from keyword import iskeyword

from ..errors import Refused

_TAKEN = frozenset({"self"})  # an argument of TensorFlow's own
_REMEDY = "Give them others with --rename OLD=NEW."


def servable_input(name: str) -> str:
    """The name of an input as TensorFlow has it: a Python argument that begins with a letter."""
    identifier = servable_output(name)
    if not identifier[:1].isalpha():
        return f"input_{identifier.lstrip('_')}"
    return f"{identifier}_" if iskeyword(identifier) or identifier in _TAKEN else identifier


def servable_output(name: str) -> str:
    """The name of an output: letters, digits and underscores."""
    return re.sub(r"\W", "_", name, flags=re.ASCII) or "output"


def servable_names(inputs: Sequence[str], outputs: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of all inputs and outputs, which all formats and the wire use.

    Raises:
        Refused: Two tensors would have the same name; TensorFlow tells inputs apart without regard to case.
    """
    given, answers = tuple(map(servable_input, inputs)), tuple(map(servable_output, outputs))
    _require_distinct(inputs, [name.lower() for name in given], "without regard to case")
    _require_distinct([*inputs, *outputs], [*given, *answers], "in letters, digits and underscores")
    return given, answers


def _require_distinct(names: Iterable[str], servable: Sequence[str], how: str) -> None:
    count = Counter(servable)
    alike = [name for name, written in zip(names, servable, strict=True) if count[written] > 1]
    if alike:
        raise Refused(f"the inputs or outputs {', '.join(map(repr, alike))} have the same name {how}. {_REMEDY}")
