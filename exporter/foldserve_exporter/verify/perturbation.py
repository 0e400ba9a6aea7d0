"""A small change of all weights at once: what it moves most is what notices a wrong weight first."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from foldserve_contract.signature import Array

_SHARE = 1e-3


class Perturbation:
    """Weights of a model beside the same weights, each moved by a thousandth of itself, up or down by seed."""

    def __init__(self, variables: Sequence[Any], seed: int) -> None:
        """Draws the changes; no variable is set yet."""
        generator = np.random.default_rng(seed)
        self._variables = [variable for variable in variables if "float" in str(variable.dtype)]
        self._before = [np.array(variable.numpy()) for variable in self._variables]
        self._moved = [_moved(values, generator) for values in self._before]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Moves the weights, and puts them back bit by bit."""
        try:
            self._assign(self._moved)
            yield
        finally:
            self._assign(self._before)

    def _assign(self, values: Sequence[Array]) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)


def _moved(values: Array, generator: np.random.Generator) -> Array:
    moved: Array = values * (1 + _SHARE * generator.choice((-1.0, 1.0), values.shape))
    return moved.astype(values.dtype)
