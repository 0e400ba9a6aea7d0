"""Random numbers: what draws them, and whether any are drawn while a layer is read.

What is drawn then would stand in the graph as a constant, and so one draw in every answer.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tensorflow.python.framework import op_callbacks

RANDOM_IN_INFERENCE = (
    "it draws random numbers in inference, so that no answer could be given twice. Let it draw in training alone, or "
    "give the numbers to the model as an input."
)
RANDOM_OP = re.compile(r"^(Stateless)?(Random|Truncated|Multinomial|ParameterizedTruncated)|^StatelessMultinomial$")
"""The kinds of TensorFlow's operations that draw."""


@contextmanager
def recorded_random_ops() -> Iterator[list[str]]:
    """Gives a list in which every random operation of TensorFlow is named that runs meanwhile in this thread."""
    drawn: list[str] = []

    def notice(kind: str | bytes, *_: Any, **__: Any) -> None:
        name = kind.decode() if isinstance(kind, bytes) else kind
        if RANDOM_OP.search(name):
            drawn.append(name)

    op_callbacks.add_op_callback(notice)
    try:
        yield drawn
    finally:
        op_callbacks.remove_op_callback(notice)
