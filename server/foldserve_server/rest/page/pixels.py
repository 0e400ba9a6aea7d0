"""Range of the pixel values that a model takes, inferred from its golden samples."""

import asyncio

import numpy as np

from foldserve_contract.bundle import Bundle
from foldserve_contract.errors import FoldserveError
from foldserve_contract.signature import TensorSpec

from ...models.model_engine import ModelEngine

BYTES, UNIT, SYMMETRIC = (0, 255), (0, 1), (-1, 1)
Range = tuple[int, int]
_MAX_CACHED = 1024
_CHANNELS = (1, 3)
_INNER_QUANTILES = (0.05, 0.95)
_BRIGHT = 16  # the maximum of an image in bytes is higher; standardised pixels stay below
_SLACK = 0.02  # resized images overshoot


class Pixels:
    """Infers the range of each bundle once."""

    def __init__(self) -> None:
        self._ranges: dict[str, Range | None] = {}  # by the bundle's digest

    async def range_of(self, engine: ModelEngine) -> Range | None:
        """The values of black and white; None where the input is not an image, or the range is unclear."""
        inputs = engine.info.manifest.signature.inputs
        if len(inputs) != 1 or not _is_image(inputs[0]):
            return None
        if inputs[0].dtype == "uint8":
            return BYTES
        if engine.info.digest not in self._ranges:
            if len(self._ranges) >= _MAX_CACHED:
                self._ranges.clear()
            self._ranges[engine.info.digest] = await asyncio.to_thread(_golden_range, engine)
        return self._ranges[engine.info.digest]


def _is_image(spec: TensorSpec) -> bool:
    return len(spec.shape) == 4 and spec.shape[3] in _CHANNELS


def _golden_range(engine: ModelEngine) -> Range | None:
    """The range of the golden samples without the stretched ones; of synthetic ones, that of their inner quantiles."""
    try:
        golden = Bundle(engine.info.path, engine.info.manifest, engine.info.digest).golden()
    except (FoldserveError, OSError):  # a SavedModel without a manifest, or one that is gone
        return None
    (values,) = golden.inputs.values()
    info = engine.info.manifest.golden
    samples = values[: golden.rows - info.stretched]
    if not samples.size:
        return None
    low, high = np.quantile(samples, _INNER_QUANTILES if info.synthetic else (0, 1))
    return range_from(float(low), float(high))


def range_from(low: float, high: float) -> Range | None:
    """The usual range that holds values from `low` to `high`; None where none does."""
    if low >= -_SLACK and high <= 1 + _SLACK:
        return UNIT
    if low >= -1 - _SLACK and high <= 1 + _SLACK:
        return SYMMETRIC
    overshoot = 255 * _SLACK
    return BYTES if low >= -overshoot and _BRIGHT < high <= 255 + overshoot else None
