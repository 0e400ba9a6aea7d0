"""Sharpness of the golden check: which wrong weights the golden samples would notice, and where they would not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from foldserve_contract.manifest import GoldenInfo

from .shares import percent

_NAMED = 5
_NOT_NOTICED = 1.0  # a weight may double, or be missing


@dataclass(frozen=True, slots=True)
class GoldenCheck:
    """What the golden samples notice, by layer.

    Attributes:
        info: The origin of the samples.
        noticed: The share by which half of a layer's weights may change before an answer leaves its tolerance, by
            layer; None where no change is noticed.
    """

    info: GoldenInfo
    noticed: Mapping[str, float | None]

    @classmethod
    def of(cls, info: GoldenInfo, sensitivity: Mapping[str, float | None]) -> "GoldenCheck":
        """The check by layer: a layer of several kernels is as sharp as the bluntest of them."""
        layers: dict[str, float | None] = {}
        for kernel, value in sensitivity.items():
            layer = kernel.rpartition("/")[0] or kernel
            layers[layer] = _blunter(layers[layer], value) if layer in layers else value
        return cls(info, layers)

    @property
    def weak(self) -> tuple[str, ...]:
        """The layers in which a typical wrong weight is not noticed."""
        return tuple(layer for layer, value in self.noticed.items() if value is None or value > _NOT_NOTICED)

    @property
    def worst(self) -> float | None:
        """The largest change that is not noticed in the other layers; None where there are none."""
        values = [value for value in self.noticed.values() if value is not None and value <= _NOT_NOTICED]
        return max(values, default=None)

    @property
    def sharpness(self) -> str:
        """The largest change that may go unnoticed in the layers that are not weak, in words."""
        return "nothing" if self.worst is None else percent(self.worst)

    @property
    def origin(self) -> str:
        """Their number and origin."""
        kind = "drawn at random" if self.info.synthetic else "from the given samples"
        return f"{self.info.samples} golden samples, {kind}"

    def line(self) -> str:
        """What they notice, in one line."""
        layers, weak = len(self.noticed), len(self.weak)
        if not layers:
            return self.origin
        if weak == layers:
            return f"{self.origin}: too weak to notice a wrong weight in any layer"
        where = f"any of {layers} layers" if not weak else f"{layers - weak} of {layers} layers, and none in the others"
        return f"{self.origin}: they notice a typical weight that is off by {self.sharpness} in {where}"

    def warning(self, *, has_samples: bool) -> Iterator[str]:
        """Says where they are too weak, and what to give; `has_samples`: whether there are samples to choose from."""
        if self.weak:
            yield (
                f"the golden samples are too weak to notice a wrong weight in {_some(self.weak)}: by the"
                " derivatives of their answers, a typical weight there may double or be missing unnoticed. "
                + self._advice(has_samples)
            )

    def _advice(self, has_samples: bool) -> str:
        if not has_samples:
            return "Give --samples: 32 or more real inputs, of every kind that the model will meet"
        if self.info.synthetic:
            return "Leave out --golden-synthetic, or raise --golden: real inputs reach what drawn ones do not"
        return (
            "Give more --samples, of every kind that the model will meet, and raise --golden. What stays blind then has"
            " units that no sample activates, answers that are saturated, or weights that are each too small a part"
            " of a large layer"
        )


def _blunter(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else max(first, second)


def _some(layers: tuple[str, ...]) -> str:
    named = ", ".join(layers[:_NAMED]) + (f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else "")
    return f"{len(layers)} layer{'' if len(layers) == 1 else 's'} ({named})"
