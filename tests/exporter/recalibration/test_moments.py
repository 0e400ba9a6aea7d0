"""Moments merged piece by piece are those of the whole."""

import numpy as np
import pytest

from foldserve_exporter.recalibration.moments import Moments


@pytest.mark.parametrize("axis", [1, 3])
def test_pieces_of_any_size_give_the_moments_of_the_whole(axis: int) -> None:
    rng = np.random.default_rng(0)
    array = (1e4 + rng.normal(size=(50, 3, 4, 5)) * 10.0 ** np.arange(-3, 2)).astype(np.float32)
    merged = None
    for piece in np.split(array, [1, 2, 9, 40]):
        seen = Moments.of(piece, axis)
        merged = seen if merged is None else merged.merged(seen)
    assert merged is not None
    others = tuple(other for other in range(4) if other != axis)
    wide = array.astype(np.float64)
    assert merged.count == array.size // array.shape[axis]
    np.testing.assert_allclose(merged.mean, wide.mean(axis=others), rtol=1e-14)
    np.testing.assert_allclose(merged.variance, wide.var(axis=others), rtol=1e-9)
