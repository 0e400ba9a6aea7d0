"""Reading of files that `predict-model` wrote."""

import numpy as np

from foldserve_contract.signature import Array


def load(path: str) -> dict[str, Array]:
    """Loads all arrays of an `.npz` and closes it."""
    with np.load(path) as archive:
        return dict(archive)
