"""A folder of images as one array."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from foldserve_contract.signature import Array, TensorSpec

MAX_IMAGES = 1024
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_images(folder: Path, spec: TensorSpec) -> Array:
    """The first images of a folder by name, with values 0…255, resized (bilinear) to the input's height and width.

    Returns:
        uint8 array of shape (n, height, width, channels); n is at most `MAX_IMAGES`.

    Raises:
        ValueError: The input is no image of fixed size, the folder holds no image, or one cannot be decoded.
    """
    if len(spec.row_shape) != 3 or -1 in spec.row_shape or spec.row_shape[2] not in _MODES:
        raise ValueError(f"input {spec.name!r} of shape {list(spec.shape)} is no image of fixed size; give an .npz")
    height, width, channels = spec.row_shape
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:MAX_IMAGES]
    if not paths:
        raise ValueError(f"it holds no image ({', '.join(sorted(SUFFIXES))})")
    return np.stack([_read_image(path, (width, height), _MODES[channels]) for path in paths])


def _read_image(path: Path, size: tuple[int, int], mode: str) -> Array:
    try:
        with Image.open(path) as image:
            resized = image.convert(mode).resize(size, Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path.name} cannot be decoded: {error}") from error
    array = np.asarray(resized)
    return array[..., np.newaxis] if array.ndim == 2 else array
