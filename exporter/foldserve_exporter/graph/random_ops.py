"""Random operations of TensorFlow, and a record of those that run while a layer is traced.

A number that is drawn during tracing would be a constant of the graph: the same number in every answer.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tensorflow.python.framework import op_callbacks

RANDOM_IN_INFERENCE = (
    "it draws random numbers in inference, so that no answer could be given twice. Let it draw in training alone, "
    "give the numbers to the model as an input, or export the layer before it with --features."
)
RANDOM_OP = re.compile(
    r"^(Stateless)?(Random|Truncated|Multinomial|ParameterizedTruncated)|^Fractional(Avg|Max)Pool$|^ExtractGlimpse"
)
"""Pattern of the types of TensorFlow's operations that draw random numbers, also where they count as stateless."""


@contextmanager
def recorded_random_ops() -> Iterator[list[str]]:
    """Yields a list that gains the type of every random operation of TensorFlow that runs meanwhile in this thread."""
    recorded: list[str] = []

    def record(op_type: str | bytes, *_: Any, **__: Any) -> None:
        name = op_type.decode() if isinstance(op_type, bytes) else op_type
        if RANDOM_OP.search(name):
            recorded.append(name)

    op_callbacks.add_op_callback(record)
    try:
        yield recorded
    finally:
        op_callbacks.remove_op_callback(record)
