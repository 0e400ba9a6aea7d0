"""Samples that the user gave, before the model that they are for is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from foldserve_contract.signature import Array, Arrays, TensorSpec

from ..samples.files import first_rows
from ..samples.model_walk import RowShapes

_ROWS = 2


@dataclass(frozen=True, slots=True, eq=False)
class GivenSamples:
    """A few of the user's samples.

    Attributes:
        arrays: By input, or a single array under any name; empty where there are none.
        is_raw: True if preprocessing comes before the model, so that it takes other values of the same sizes.
    """

    arrays: Arrays = field(default_factory=dict)
    is_raw: bool = False

    @classmethod
    def read(cls, samples: Path | str | Array | Arrays | None, *, is_raw: bool = False) -> Self:
        """Reads the first samples of a file, or takes those of arrays.

        Raises:
            SamplesError: The file is missing or unreadable.
        """
        return cls(first_rows(samples, _ROWS), is_raw)

    def renamed(self, names: Mapping[str, str]) -> Self:
        """The same samples under other names, where there are any for them."""
        return replace(self, arrays={names.get(name, name): array for name, array in self.arrays.items()})

    def for_inputs(self, inputs: tuple[TensorSpec, ...]) -> list[Array] | None:
        """One array for each input, in its dtype; None where there are no samples, or they do not fit."""
        only = len(inputs) == len(self.arrays) == 1
        arrays = [next(iter(self.arrays.values())) if only else self.arrays.get(spec.name) for spec in inputs]
        fitting = [_fitted(array, spec) for array, spec in zip(arrays, inputs, strict=True)]
        return None if any(array is None for array in fitting) else [array for array in fitting if array is not None]


NO_SAMPLES = GivenSamples()


def sizes_of(arrays: list[Array]) -> RowShapes:
    """The row shapes of arrays."""
    return tuple(array.shape[1:] for array in arrays)


def _fitted(array: Array | None, spec: TensorSpec) -> Array | None:
    if array is None or array.dtype.kind not in "biuf" or not spec.accepts((-1, *array.shape[1:])):
        return None
    return array.astype(np.dtype(spec.dtype))
