"""Search for a batch size in which a row's bits depend on nothing but the row, when a version is loaded."""

from collections.abc import Sequence

import numpy as np

from foldserve_contract.golden import Golden
from foldserve_contract.signature import DYNAMIC, Array, Arrays, Signature

from ..protocol import Engine
from ..rows import Gather, Rows

CANDIDATES = (2, 4, 8)
ALONE = 1
_SEED = 0


def candidates(max_batch_size: int, allowed_sizes: Sequence[int]) -> tuple[int, ...]:
    """The sizes to try: those that were allowed, else small ones, in which a caller alone does not wait for long."""
    return tuple(size for size in allowed_sizes or CANDIDATES if size <= max_batch_size)


def find_exact_rows(engine: Engine, golden: Golden, sizes: Sequence[int]) -> int:
    """The largest size in which no golden sample's bits changed with its place or its neighbours; else 1.

    It does not depend on how long anything takes, so that an engine started again finds the same. Rows of a dynamic
    shape run alone: what holds for one shape need not hold for another.

    Raises:
        RunFailed: The engine could not compute a batch.
    """
    if _is_dynamic(engine.signature):
        return ALONE
    return next((size for size in sorted(sizes, reverse=True) if size > 1 and is_exact(engine, golden, size)), ALONE)


def is_exact(engine: Engine, golden: Golden, size: int) -> bool:
    """Tests whether golden samples have the same bits at every place of a batch, among themselves and strangers."""
    draw = np.random.default_rng(_SEED)
    gather = Gather()
    strangers = {name: _strange(array, draw) for name, array in golden.inputs.items()}
    seen: dict[int, dict[str, bytes]] = {}
    for turn in range(2 * size):
        samples = [(place + turn) % min(golden.rows, size) for place in range(size)]
        own = np.ones(size, bool) if turn < size else _some(size, turn % size, draw)
        parts = [_row(golden.inputs if is_own else strangers, at) for is_own, at in zip(own, samples, strict=True)]
        answers = engine.run(gather.collect(parts, size, own=True))
        for place in np.flatnonzero(own):
            bits = {name: array[place].tobytes() for name, array in answers.items()}
            if seen.setdefault(samples[place], bits) != bits:
                return False
    return True


def _some(size: int, place: int, draw: np.random.Generator) -> Array:
    """A random half of the places: always this place, never the next."""
    own = draw.random(size) < 0.5
    own[place], own[(place + 1) % size] = True, False
    return own


def _row(arrays: Arrays, at: int) -> Rows:
    return arrays, at, at + 1


def _strange(array: Array, draw: np.random.Generator) -> Array:
    """Rows of other values: of other magnitudes, or in another order where they are not real numbers."""
    if array.dtype.kind != "f":
        return draw.permutation(array, axis=0)
    magnitudes = 10.0 ** draw.integers(-3, 3, size=(len(array), *[1] * (array.ndim - 1)))
    with np.errstate(over="ignore"):
        return np.asarray(array * draw.normal(size=array.shape) * magnitudes, array.dtype)


def _is_dynamic(signature: Signature) -> bool:
    return any(DYNAMIC in spec.row_shape for spec in signature.inputs)
