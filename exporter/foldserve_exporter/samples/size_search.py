"""Sizes for the open dimensions of a model: the smallest at which every layer has something left, and two more.

Sizes are tried by shapes alone, from 16 (64 for images) on: doubled until they fit, then halved back towards the last
that did not. Beside each, the nearest multiple of the model's strides is tried, and one more than that.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from foldserve_contract.signature import DYNAMIC, Signature, TensorSpec

from .model_walk import ModelWalk, RowShapes, walk_shapes
from .synthetic import default_shapes

Trial = Callable[[RowShapes], ModelWalk]
_SMALLEST, _LARGEST = 16, 1 << 18
_MOST_VALUES = 1 << 22  # of an input's row
_FURTHER = 2
_MOST_TRIALS = 3
_PROBE = 1 << 14  # so large that the ratio of two sizes is the stride between them
_MOST_STRIDE = 1 << 10


@dataclass(frozen=True, slots=True)
class OpenSizes:
    """Row shapes that fit a model with open dimensions.

    Attributes:
        fitting: The first shapes, the smallest, and further ones; empty where none fits.
        failed: The walk that shows why, where none fits.
    """

    fitting: tuple[RowShapes, ...]
    failed: ModelWalk | None = None


def has_open_sizes(inputs: tuple[TensorSpec, ...]) -> bool:
    """True if an input has an open dimension beside the batch."""
    return any(DYNAMIC in spec.row_shape for spec in inputs)


def find_sizes(model: Any, inputs: tuple[TensorSpec, ...], trial: Trial) -> OpenSizes:
    """Finds sizes at which every layer of a functional model has something left.

    Args:
        model: The `keras.Model`.
        inputs: Its inputs.
        trial: Computes the model at row shapes that fit by their shapes.
    """
    search = _Search(model, inputs, trial)
    first = search.first()
    if first is None:
        return OpenSizes((), search.failed or search.walk(search.uniform(search.largest())))
    first = search.unequal(first)
    return OpenSizes((first, *search.further(first)))


def sizes_in_words(sizes: RowShapes, signature: Signature) -> str:
    """The sizes of the open dimensions, such as `image 96×64, length 101`; empty where there are none."""
    shapes = zip(signature.inputs, sizes, strict=True)
    return ", ".join(f"{spec.name} {_opened(spec, shape)}" for spec, shape in shapes if DYNAMIC in spec.row_shape)


def _opened(spec: TensorSpec, shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for free, size in zip(spec.row_shape, shape, strict=True) if free == DYNAMIC)


class _Search:
    """State of one search.

    Attributes:
        open: Input and axis of every open dimension.
        stride: The number of which sizes may have to be a multiple.
        failed: The first trial that failed.
    """

    def __init__(self, model: Any, inputs: tuple[TensorSpec, ...], trial: Trial) -> None:
        self.model = model
        self.inputs = inputs
        self.trial = trial
        self.open = [
            (position, axis)
            for position, spec in enumerate(inputs)
            for axis, size in enumerate(spec.row_shape)
            if size == DYNAMIC
        ]
        self.stride = self._stride()
        self.failed: ModelWalk | None = None

    def walk(self, shapes: RowShapes) -> ModelWalk:
        """The walk through the model at these shapes."""
        return walk_shapes(self.model, shapes)

    def fits(self, shapes: RowShapes) -> bool:
        """True if they are not too large, and every layer has something left."""
        return _are_small(shapes) and self.walk(shapes).fits

    def accepts(self, shapes: RowShapes) -> bool:
        """True if the model fits, and can be computed."""
        if not self.fits(shapes):
            return False
        tried = self.trial(shapes)
        if not tried.fits and self.failed is None:
            self.failed = tried
        return tried.fits

    def uniform(self, size: int) -> RowShapes:
        """The same size for every open dimension."""
        return self._with(default_shapes(self.inputs), dict.fromkeys(self.open, size))

    def largest(self) -> int:
        """The largest size that is tried."""
        return max((size for size in _doubled() if _are_small(self.uniform(size))), default=_SMALLEST)

    def first(self) -> RowShapes | None:
        """The smallest shapes, from the usual ones on, then of smaller ones; None where none do."""
        usual = default_shapes(self.inputs)
        larger = (self.uniform(size) for size in self._larger_sizes())
        smaller = (self.uniform(size) for size in map(self._near, (8, 4, 2, 1)) if size is not None)
        candidates = (usual, *islice(larger, 0 if self.fits(usual) else _MOST_TRIALS), *smaller)
        return next((shapes for shapes in candidates if self.accepts(shapes)), None)

    def unequal(self, shapes: RowShapes) -> RowShapes:
        """The same shapes with another size for each open dimension, where the model takes them unequal."""
        for number, dimension in enumerate(self.open[1:], 1):
            size = shapes[dimension[0]][dimension[1]]
            others = (self._up(size * (2 + number) // 2), size + number)
            larger = (self._with(shapes, {dimension: other}) for other in others)
            shapes = next((other for other in larger if self.accepts(other)), shapes)
        return shapes

    def further(self, shapes: RowShapes) -> tuple[RowShapes, ...]:
        """Two other sets of shapes, larger or turned; fewer where the model takes no others."""
        chosen: list[RowShapes] = []
        for other in self._others(shapes):
            if len(chosen) < _FURTHER and other not in (shapes, *chosen) and self.accepts(other):
                chosen.append(other)
        return tuple(chosen)

    def _others(self, shapes: RowShapes) -> Iterator[RowShapes]:
        sizes = [shapes[position][axis] for position, axis in self.open]
        yield self._sized(shapes, [size + 1 for size in sizes])
        yield self._sized(shapes, sizes[::-1])
        yield self._sized(shapes, [self._up(size * 3 // 2) + 1 for size in sizes])
        for factor in (3, 4, 6):
            yield self._sized(shapes, [self._up(size * factor // 2) for size in sizes])
        yield self._sized(shapes, [size + 2 for size in sizes])

    def _larger_sizes(self) -> Iterator[int]:
        """Sizes that fit, from the smallest that is found on."""
        low: int | None = 0  # None once a size was found
        for doubled in _doubled():
            size = self._near(doubled)
            if size is not None:
                yield size if low is None else self._halved(low, size)
            low = None if size is not None or low is None else doubled

    def _near(self, size: int) -> int | None:
        """A size that fits: this one, the multiple of the strides that follows, or one more; None where none does."""
        multiple = self._up(size)
        return next((near for near in (size, multiple, multiple + 1) if self.fits(self.uniform(near))), None)

    def _halved(self, low: int, high: int) -> int:
        """The smallest size found between one that does not fit and one that does, by halving."""
        while high - low > 1:
            middle = (low + high) // 2
            size = self._near(middle)
            if size is not None and size < high:
                high = size
            else:
                low = middle
        return high

    def _up(self, size: int) -> int:
        return -(-size // self.stride) * self.stride

    def _stride(self) -> int:
        """The number of which sizes may have to be a multiple: of all ratios between the input's size and others."""
        ratios = {round(_PROBE / size) for size in self.walk(self.uniform(_PROBE)).sizes if 64 <= size < _PROBE}
        stride = math.lcm(*(ratio for ratio in ratios if ratio > 0))
        return stride if stride <= _MOST_STRIDE else 1

    def _sized(self, shapes: RowShapes, sizes: list[int]) -> RowShapes:
        return self._with(shapes, dict(zip(self.open, sizes, strict=True)))

    @staticmethod
    def _with(shapes: RowShapes, sizes: dict[tuple[int, int], int]) -> RowShapes:
        return tuple(
            tuple(sizes.get((position, axis), size) for axis, size in enumerate(shape))
            for position, shape in enumerate(shapes)
        )


def _doubled() -> Iterator[int]:
    size = _SMALLEST
    while size <= _LARGEST:
        yield size
        size *= 2


def _are_small(shapes: RowShapes) -> bool:
    return all(math.prod(shape) <= _MOST_VALUES for shape in shapes)
