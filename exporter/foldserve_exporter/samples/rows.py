"""Rows of a verification: those that are judged, near copies of them, and outliers."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from foldserve_contract.signature import Array, Arrays

MIN_JUDGED = 32
STRETCHED_SHARE = 4  # golden rows for each stretched one
STRETCH = 3
CHOSEN_SHARE = 4  # golden rows for each that is chosen for what it notices
_CONSIDERED = 4  # samples for each golden row
NO_ARRAYS: Arrays = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class VerificationRows:
    """Verification inputs by name: first the `judged` rows, compared with the reference, then near copies and outliers.

    Attributes:
        inputs: All rows.
        judged: The number of judged rows; row `judged + i` is a near copy of row i.
        golden: The number of them, from the first, that become golden samples.
        stretched: The number of golden samples, the last ones, that are samples moved three times as far from their
            mean: they activate units that are inactive on most inputs, so that a fault in their weights shows.
        mixed: The number of judged rows, the last ones, that lie between two samples.
        chosen: The number of golden samples, the first ones, that were chosen for what they notice: they are not a fair
            draw, and nothing may be concluded from them about the others.
    """

    inputs: Arrays
    judged: int
    golden: int
    stretched: int = 0
    mixed: int = 0
    chosen: int = 0

    @property
    def judged_inputs(self) -> dict[str, Array]:
        """The judged rows alone."""
        return {name: array[: self.judged] for name, array in self.inputs.items()}

    @property
    def golden_inputs(self) -> dict[str, Array]:
        """The golden rows alone."""
        return {name: array[: self.golden] for name, array in self.inputs.items()}

    @property
    def is_stretched(self) -> Array:
        """Mask of the stretched rows, by judged row."""
        rows = np.arange(self.judged)
        return (rows >= self.golden - self.stretched) & (rows < self.golden)

    def are_samples(self, *, golden: bool) -> Array:
        """Mask of the rows that are samples as they were drawn; `golden`: whether golden rows are samples."""
        rows = np.arange(self.judged)
        from_golden = golden & (rows >= self.chosen)
        given: Array = (rows < self.judged - self.mixed) & ~self.is_stretched & (from_golden | (rows >= self.golden))
        return given

    def keep(self, judged: Array) -> "VerificationRows":
        """Drops the stretched rows for which `judged`, a mask by judged row, is false."""
        kept = {name: array[np.tile(judged, 3)] for name, array in self.inputs.items()}
        dropped = int(np.sum(~judged))
        return VerificationRows(
            kept, self.judged - dropped, self.golden - dropped, self.stretched - dropped, self.mixed, self.chosen
        )


@dataclass(frozen=True, slots=True)
class RowRanking:
    """Ranking of samples by how much they notice, for the choice of golden rows.

    Attributes:
        sensitivity: The sensitivity of rows, a number for each.
        most: The most rows it may be asked for.
    """

    sensitivity: Callable[[Arrays], Array]
    most: int


def choose_rows(
    samples: Arrays,
    golden: int,
    seed: int,
    public: Arrays | None = None,
    ranking: RowRanking | None = None,
    whole: Arrays = NO_ARRAYS,
) -> VerificationRows:
    """Draws the rows to judge by seed, and mixes more from them where fewer than `MIN_JUDGED` samples were given.

    Args:
        samples: The samples to draw from.
        golden: The number of golden rows; a quarter as many stretched ones are added.
        seed: Seed of the draw.
        public: Golden rows in place of samples, which then never leave this process.
        ranking: Chooses a part of the golden rows, the first ones, as the most sensitive of several times as many; the
            others are drawn, so that units stay covered that the most sensitive rows leave silent.
        whole: By input of floats, mask of a row's elements that are whole numbers to look something up by: like
            integers, they are exchanged among the rows and never changed.
    """
    generator = np.random.default_rng(seed)
    order, chosen = _ordered(samples, golden, generator, ranking if public is None else None)
    drawn = _taken(samples, order)
    if public is None:
        public, others = _part(drawn, 0, golden), _part(drawn, golden, None)
    else:
        others = drawn
    stretched = _map(_part(public, 0, -(-golden // STRETCHED_SHARE)), _stretch, generator, whole)
    missing = MIN_JUDGED - _rows(public) - _rows(others)
    made = _joined(public, stretched, others, *([_mix(drawn, missing, generator, whole)] if missing > 0 else []))
    inputs = _joined(made, _map(made, _near, generator, whole), _map(made, _outliers, generator, whole))
    golden_rows = _rows(public) + _rows(stretched)
    return VerificationRows(inputs, _rows(made), golden_rows, _rows(stretched), max(missing, 0), chosen)


def _ordered(
    samples: Arrays, golden: int, generator: np.random.Generator, ranking: RowRanking | None
) -> tuple[Array, int]:
    """The samples that are taken, with the most sensitive ones first, in addition to a fair draw; and their number."""
    order, wanted = generator.permutation(_rows(samples)), max(golden, MIN_JUDGED)
    considered = 0 if ranking is None else min(_CONSIDERED * golden, ranking.most, len(order))
    if ranking is None or considered <= golden:
        return np.sort(order[:wanted]), 0
    candidates = order[:considered]
    by_sensitivity = np.argsort(-ranking.sensitivity(_taken(samples, candidates)), kind="stable")
    first = candidates[by_sensitivity[: -(-golden // CHOSEN_SHARE)]]
    others = order[~np.isin(order, first)]
    return np.concatenate([first, np.sort(others[:wanted])]), len(first)


def _taken(arrays: Arrays, rows: Array) -> dict[str, Array]:
    return {name: array[rows] for name, array in arrays.items()}


def few_rows(samples: Arrays, seed: int, whole: Arrays = NO_ARRAYS) -> VerificationRows:
    """Rows to judge at other sizes than the golden ones, all of `samples`, with near copies and outliers."""
    generator = np.random.default_rng(seed)
    near, outliers = (_map(samples, change, generator, whole) for change in (_near, _outliers))
    return VerificationRows(_joined(samples, near, outliers), _rows(samples), golden=0)


def _rows(arrays: Arrays) -> int:
    return int(next(iter(arrays.values())).shape[0])


def _part(arrays: Arrays, start: int, stop: int | None) -> dict[str, Array]:
    return {name: array[start:stop] for name, array in arrays.items()}


def _joined(*parts: Arrays) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _map(
    arrays: Arrays,
    change: Callable[[Array, np.random.Generator], Array],
    generator: np.random.Generator,
    whole: Arrays,
) -> dict[str, Array]:
    return {name: _change(array, change, generator, whole.get(name)) for name, array in arrays.items()}


def _change(
    array: Array,
    change: Callable[[Array, np.random.Generator], Array],
    generator: np.random.Generator,
    whole: Array | None,
) -> Array:
    changed = change(array, generator)
    return changed if whole is None else np.where(whole, generator.permuted(array, axis=0), changed)


def _stretch(array: Array, generator: np.random.Generator) -> Array:
    """Moves floats three times as far from their mean; permutes values of other dtypes among the rows."""
    if array.dtype.kind != "f":
        return generator.permuted(array, axis=0)
    stretched: Array = array.mean() + STRETCH * (array - array.mean())
    return stretched.astype(array.dtype)


def _mix(arrays: Arrays, rows: int, generator: np.random.Generator, whole: Arrays) -> dict[str, Array]:
    """Makes new rows from pairs of given rows: weighted means of floats, elements of either row for other dtypes."""
    available = _rows(arrays)
    first = generator.integers(0, available, rows)
    second = (first + generator.integers(1, max(available, 2), rows)) % available
    share = generator.uniform(0, 1, rows)
    mixed = {}
    for name, array in arrays.items():
        weight = share.reshape(-1, *[1] * (array.ndim - 1))
        exact = whole.get(name, np.asarray(array.dtype.kind != "f"))
        if not exact.all():
            mixed[name] = (weight * array[first] + (1 - weight) * array[second]).astype(array.dtype)
        if exact.any():
            chosen = np.where(generator.uniform(size=array[first].shape) < weight, array[first], array[second])
            mixed[name] = np.where(exact, chosen, mixed.get(name, chosen))
    return mixed


def _near(array: Array, generator: np.random.Generator) -> Array:
    if array.dtype.kind != "f":
        return array.copy()
    spread = float(array.std()) or 1.0
    near: Array = array + 1e-3 * spread * generator.standard_normal(array.shape)
    return near.astype(array.dtype)


def _outliers(array: Array, generator: np.random.Generator) -> Array:
    """Makes rows far from the rest, which change any statistic taken over a batch."""
    if array.dtype.kind != "f":
        return generator.permuted(array, axis=0)
    spread = float(array.std()) or 1.0
    far: Array = array.mean() + 30 * spread * generator.standard_normal(array.shape)
    return far.astype(array.dtype)
