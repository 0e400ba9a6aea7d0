"""In which range a model takes the pixels of an image, as far as its bundle shows."""

import asyncio

import numpy as np

from foldserve_contract.bundle import Bundle
from foldserve_contract.errors import FoldserveError
from foldserve_contract.signature import TensorSpec

from ...models.engine import ModelEngine

BYTES, UNIT, SYMMETRIC = (0, 255), (0, 1), (-1, 1)
Range = tuple[int, int]
_MOST_KNOWN = 1024
_CHANNELS = (1, 3)
_MOST = (0.05, 0.95)
_BRIGHT = 16  # no image is so dark; standardised pixels are not so far from 0
_SLACK = 0.02  # resized images overshoot


class Pixels:
    """Looks into the golden samples of a bundle once."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._known: dict[str, Range | None] = {}

    async def range_of(self, engine: ModelEngine) -> Range | None:
        """What stands for black and white; None where the input is not an image, or nobody can tell."""
        inputs = engine.info.manifest.signature.inputs
        if len(inputs) != 1 or not _is_image(inputs[0]):
            return None
        if inputs[0].dtype == "uint8":
            return BYTES
        if engine.info.digest not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[engine.info.digest] = await asyncio.to_thread(_seen, engine)
        return self._known[engine.info.digest]


def _is_image(spec: TensorSpec) -> bool:
    return len(spec.shape) == 4 and spec.shape[3] in _CHANNELS


def _seen(engine: ModelEngine) -> Range | None:
    """The range of the golden samples, the stretched ones left out; of drawn ones, which have no ends, of most."""
    try:
        golden = Bundle(engine.info.path, engine.info.manifest, engine.info.digest).golden()
    except (FoldserveError, OSError):  # a SavedModel without a manifest, or one that is gone
        return None
    (values,) = golden.inputs.values()
    told = engine.info.manifest.golden
    samples = values[: golden.rows - told.stretched]
    if not samples.size:
        return None
    low, high = np.quantile(samples, _MOST if told.synthetic else (0, 1))
    return range_from(float(low), float(high))


def range_from(low: float, high: float) -> Range | None:
    """The usual range that values from `low` to `high` are of, if they are of one."""
    if low >= -_SLACK and high <= 1 + _SLACK:
        return UNIT
    if low >= -1 - _SLACK and high <= 1 + _SLACK:
        return SYMMETRIC
    overshoot = 255 * _SLACK
    return BYTES if low >= -overshoot and _BRIGHT < high <= 255 + overshoot else None
