"""Triton's classification extension: the best classes of an output as strings."""

import numpy as np

from foldserve_contract.signature import Array

from ..errors import InvalidRequest

CLASS_COUNT = "classification"


def classes(output: str, scores: Array, count: int, labels: tuple[str, ...] | None) -> list[list[bytes]]:
    """The `count` highest scores of each row, highest first, as `score:index` or `score:index:label`.

    Raises:
        InvalidRequest: The output does not hold one score for each class.
    """
    if scores.ndim != 2 or count < 0:
        raise InvalidRequest(
            f"classes of output '{output}' were asked for, whose shape {list(scores.shape)} is not [rows, classes]"
        )
    order = np.argsort(-scores.astype(np.float64), axis=1, kind="stable")[:, :count]
    return [[_text(scores[row, index], int(index), labels) for index in indices] for row, indices in enumerate(order)]


def _text(score: np.generic, index: int, labels: tuple[str, ...] | None) -> bytes:
    label = f":{labels[index]}" if labels is not None and index < len(labels) else ""
    number = f"{score:f}" if score.dtype.kind == "f" else str(score)
    return f"{number}:{index}{label}".encode()
