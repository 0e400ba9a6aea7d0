"""Samples from a folder of images, as one array."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from foldserve_contract.signature import Array, TensorSpec

MAX_IMAGES = 1024
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_EIGHT_BITS = frozenset({"1", "CMYK", "HSV", "L", "LA", "LAB", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"})


def read_images(folder: Path, spec: TensorSpec) -> Array:
    """Reads the images of a folder and its subfolders, 0…255, resized (bilinear) to the input's height and width.

    They are in the order of their paths, which often is that of their classes: where there are more than `MAX_IMAGES`,
    these are spread evenly over all.

    Returns:
        uint8 array of shape (n, height, width, channels); n is at most `MAX_IMAGES`.

    Raises:
        ValueError: The input is not an image of fixed size, the folder holds no image, or an image cannot be decoded or
            has more than 8 bits a channel.
    """
    if len(spec.row_shape) != 3 or -1 in spec.row_shape or spec.row_shape[2] not in _MODES:
        raise ValueError(f"input {spec.name!r} of shape {list(spec.shape)} is not an image of fixed size; give an .npz")
    height, width, channels = spec.row_shape
    paths = _spread(sorted(path for path in folder.rglob("*") if _is_image(path, folder)))
    if not paths:
        raise ValueError(f"it holds no image ({', '.join(sorted(SUFFIXES))})")
    return np.stack([_read_image(folder, path, (width, height), _MODES[channels]) for path in paths])


def _is_image(path: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in SUFFIXES and not is_hidden and path.is_file()


def _spread(paths: list[Path]) -> list[Path]:
    if len(paths) <= MAX_IMAGES:
        return paths
    return [paths[position] for position in np.linspace(0, len(paths) - 1, MAX_IMAGES).astype(int)]


def _read_image(folder: Path, path: Path, size: tuple[int, int], mode: str) -> Array:
    name = path.relative_to(folder)
    try:
        with Image.open(path) as image:
            if image.mode not in _EIGHT_BITS:  # which Pillow would cut off at 255
                raise ValueError(f"{name} is of mode {image.mode}, with more than 8 bits a channel; convert it first")
            resized = image.convert(mode).resize(size, Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name} cannot be decoded: {error}") from error
    array = np.asarray(resized)
    return array[..., np.newaxis] if array.ndim == 2 else array
