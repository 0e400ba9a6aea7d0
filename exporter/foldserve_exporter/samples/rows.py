"""The rows a verification judges, with the neighbours they are judged among."""

from dataclasses import dataclass

import numpy as np

from foldserve_contract.signature import Array, Arrays

MIN_JUDGED = 32


@dataclass(frozen=True, slots=True, eq=False)
class VerificationRows:
    """Inputs by name. The first `judged` rows are compared with the reference; then come near copies and outliers.

    Attributes:
        inputs: All rows.
        judged: How many rows are judged; row `judged + i` is a near copy of row i.
        golden: How many of them, from the first, become golden samples.
    """

    inputs: Arrays
    judged: int
    golden: int

    @property
    def judged_inputs(self) -> dict[str, Array]:
        """The judged rows alone."""
        return {name: array[: self.judged] for name, array in self.inputs.items()}

    @property
    def golden_inputs(self) -> dict[str, Array]:
        """The golden rows alone."""
        return {name: array[: self.golden] for name, array in self.inputs.items()}


def choose_rows(samples: Arrays, golden: int, seed: int, public: Arrays | None = None) -> VerificationRows:
    """Draws the rows to judge by seed, and mixes more from them where fewer than `MIN_JUDGED` samples were given.

    Args:
        samples: What to draw from.
        golden: How many rows are to be golden.
        seed: Of the draw.
        public: Rows to be golden in place of any of the samples, which then never leave this process.
    """
    generator = np.random.default_rng(seed)
    available = _rows(samples)
    wanted = max(golden, MIN_JUDGED)
    order = np.sort(generator.permutation(available)[:wanted])
    chosen = {name: array[order] for name, array in samples.items()}
    if len(order) < wanted:
        chosen = _joined(chosen, _mix(chosen, wanted - len(order), generator))
    if public is not None:
        chosen = _joined(public, chosen)
    inputs = {
        name: np.concatenate([array, _near(array, generator), _outliers(array, generator)])
        for name, array in chosen.items()
    }
    return VerificationRows(inputs, _rows(chosen), min(golden, len(order)) if public is None else _rows(public))


def _rows(arrays: Arrays) -> int:
    return int(next(iter(arrays.values())).shape[0])


def _joined(first: Arrays, second: Arrays) -> dict[str, Array]:
    return {name: np.concatenate([array, second[name]]) for name, array in first.items()}


def _mix(arrays: Arrays, rows: int, generator: np.random.Generator) -> dict[str, Array]:
    """New rows between two of the given: averages of floats, elements of either where they are no floats."""
    available = _rows(arrays)
    first = generator.integers(0, available, rows)
    second = (first + generator.integers(1, max(available, 2), rows)) % available
    share = generator.uniform(0, 1, rows)
    mixed = {}
    for name, array in arrays.items():
        weight = share.reshape(-1, *[1] * (array.ndim - 1))
        if array.dtype.kind == "f":
            mixed[name] = (weight * array[first] + (1 - weight) * array[second]).astype(array.dtype)
        else:
            mixed[name] = np.where(generator.uniform(size=array[first].shape) < weight, array[first], array[second])
    return mixed


def _near(array: Array, generator: np.random.Generator) -> Array:
    if array.dtype.kind != "f":
        return array.copy()
    spread = float(array.std()) or 1.0
    near: Array = array + 1e-3 * spread * generator.standard_normal(array.shape)
    return near.astype(array.dtype)


def _outliers(array: Array, generator: np.random.Generator) -> Array:
    """Rows far from the rest: they move any statistic taken over a batch."""
    if array.dtype.kind != "f":
        return generator.permuted(array, axis=0)
    spread = float(array.std()) or 1.0
    far: Array = array.mean() + 30 * spread * generator.standard_normal(array.shape)
    return far.astype(array.dtype)
