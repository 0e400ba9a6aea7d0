"""Files that `predict-model` wrote."""

import numpy as np

from foldserve_contract.signature import Array


def load(path: str) -> dict[str, Array]:
    """All arrays of an `.npz`, with the file closed again."""
    with np.load(path) as archive:
        return dict(archive)
