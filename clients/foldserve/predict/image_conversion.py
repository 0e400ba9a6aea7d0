"""Conversion of an image to a row of a model's input."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from foldserve_contract.signature import DYNAMIC, Array, TensorSpec

from .converters import value_range
from .errors import UsageError
from .flags import flag

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
EIGHT_BITS = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK", "YCbCr", "HSV", "LAB"})


class Filter(StrEnum):
    """Pillow's resampling filters, by Pillow's names."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


@dataclass(frozen=True, slots=True)
class Imaging:
    """Options of the conversion.

    An unfinished run keeps this record's text, so a change of its names refuses the runs of earlier releases.

    Attributes:
        resize: True if images are resized to the model's height and width, without keeping their proportions.
        filter: The filter for resizing; all but nearest average over the source pixels when making smaller.
        scale: The values that 0 and 255 are mapped to; None leaves values unchanged.
    """

    resize: bool = field(
        default=True, metadata=flag("--no-resize", group="images", help="an image of another size is a failure")
    )
    filter: Filter = field(
        default=Filter.BILINEAR,
        metadata=flag(
            "--filter",
            group="images",
            choices=[str(filter) for filter in Filter],
            convert=Filter,
            help="for resizing (%(default)s)",
        ),
    )
    scale: tuple[float, float] | None = field(
        default=None,
        metadata=flag(
            "--scale",
            group="images",
            metavar="LOW,HIGH",
            type=value_range,
            help="what 0 and 255 become, such as 0,1 or (with '=') -1,1",
        ),
    )


@dataclass(frozen=True, slots=True)
class ImageConversion:
    """Conversion of images for one input of a model.

    Attributes:
        height: Height in pixels, or None if the model takes any.
        width: Width in pixels, or None if the model takes any.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        first: True if channels come before height and width.
        dtype: The element type of the input.
        imaging: The user's options.
    """

    height: int | None
    width: int | None
    channels: int
    first: bool
    dtype: str
    imaging: Imaging

    def row(self, image: Any) -> Array:
        """Converts an opened image to one row; its EXIF orientation is ignored, as by Keras and TensorFlow.

        Raises:
            ValueError: The image has more than 8 bits a channel, or another size where resizing is off.
        """
        if image.mode not in EIGHT_BITS:
            raise ValueError(f"an image of mode {image.mode} has more than 8 bits a channel; convert it first")
        image = self._sized(image.convert(MODES[self.channels]))
        pixels = np.asarray(image).reshape(image.height, image.width, self.channels)
        return self._scaled(pixels.transpose(2, 0, 1) if self.first else pixels)

    def _sized(self, image: Any) -> Any:
        width, height = self.width or image.width, self.height or image.height
        if (image.width, image.height) == (width, height):
            return image
        if not self.imaging.resize:
            raise ValueError(
                f"the image is {image.height}×{image.width}, the model takes {height}×{width};"
                f" without --no-resize it is resized"
            )
        from PIL import Image

        return image.resize((width, height), Image.Resampling[self.imaging.filter.name])

    def _scaled(self, pixels: Array) -> Array:
        values: Array = pixels.astype(self.dtype)
        if self.imaging.scale is None:
            return values
        low, high = self.imaging.scale
        kind = values.dtype.type
        scaled: Array = values * kind((high - low) / 255) + kind(low)
        return scaled


def conversion_for(spec: TensorSpec, imaging: Imaging) -> ImageConversion:
    """Makes the conversion for an input of a model.

    Raises:
        UsageError: The input does not take images, or the scale does not suit its dtype.
    """
    if len(spec.row_shape) != 3:
        raise UsageError(
            f"input {spec.name!r} has the shape {list(spec.shape)} and does not take images; give .npy or .npz"
        )
    first = spec.row_shape[0] in MODES and spec.row_shape[2] not in MODES
    channels, height, width = spec.row_shape if first else (spec.row_shape[2], *spec.row_shape[:2])
    channels = 3 if channels == DYNAMIC else channels
    if channels not in MODES:
        raise UsageError(f"input {spec.name!r} has {channels} channels; images have 1, 3 or 4. Give .npy or .npz")
    kind = np.dtype(spec.dtype).kind
    if kind == "b" or (kind in "ui" and np.iinfo(spec.dtype).max < 255):
        raise UsageError(f"input {spec.name!r} takes {spec.dtype}, which cannot hold 0 to 255; give .npy or .npz")
    if imaging.scale is not None and kind != "f":
        raise UsageError(f"--scale is for models that take floats; input {spec.name!r} takes {spec.dtype}")
    size = [None if side == DYNAMIC else side for side in (height, width)]
    return ImageConversion(size[0], size[1], channels, first, spec.dtype, imaging)
