"""Inputs of images."""

import itertools
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from foldserve_contract.signature import Array, Signature

from .errors import UsageError
from .image_conversion import ImageConversion, Imaging, conversion_for
from .input_source import ReadRows, RequestRows, RowFailure

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_DECODERS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Image files, one row each.

    Attributes:
        files: The images, in the order of their names.
        ignored: Files of the folder that are not images by their suffix.
        decoders: Threads that decode; started by the first image.
    """

    files: tuple[Path, ...]
    ignored: tuple[Path, ...] = ()
    decoders: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_DECODERS))

    @property
    def names(self) -> tuple[str, ...]:
        """Paths of the files, below the folder as the user named it."""
        return tuple(path.as_posix() for path in self.files)

    @property
    def rows(self) -> tuple[int, ...]:
        """Row for each file."""
        return (1,) * len(self.files)

    def close(self) -> None:
        """Stops the threads."""
        self.decoders.shutdown()

    def reader(self, signature: Signature, imaging: Imaging) -> "ImageReader":
        """Makes a reader for a model with one input that takes images."""
        if len(signature.inputs) != 1:
            names = [spec.name for spec in signature.inputs]
            raise UsageError(f"the model takes the inputs {names}; images can only be the input of a model with one")
        (spec,) = signature.inputs
        return ImageReader(self.files, spec.name, conversion_for(spec, imaging), self.decoders)


@dataclass(frozen=True, slots=True)
class ImageReader:
    """Reader of images, decoded in parallel."""

    files: tuple[Path, ...]
    input: str
    plan: ImageConversion
    decoders: ThreadPoolExecutor

    def read(self, start: int, stop: int, offset: int) -> ReadRows:
        """Reads images: consecutive ones of one size make a request; failures to decode are row failures."""
        decoded = list(self.decoders.map(self._decode, self.files[start:stop]))
        rows = list(enumerate(decoded, start + offset))
        failures = [RowFailure(row, self.name_of(row - offset), image) for row, image in rows if isinstance(image, str)]
        images = [(row, image) for row, image in rows if not isinstance(image, str)]
        runs = itertools.groupby(images, key=lambda item: item[1].shape)
        return ReadRows(tuple(self._request(run) for _, run in runs), tuple(failures))

    def name_of(self, row: int) -> str:
        """The path of the file."""
        return self.files[row].as_posix()

    def _request(self, run: Iterable[tuple[int, Array]]) -> RequestRows:
        rows, images = zip(*run, strict=True)
        return RequestRows(rows, {self.input: np.stack(images)})

    def _decode(self, path: Path) -> Array | str:
        from PIL import Image

        try:
            with Image.open(path) as image:
                return self.plan.row(image)
        except (
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombError,
        ) as error:  # all Pillow raises
            return f"{type(error).__name__}: {error}"


def open_image(path: Path) -> ImageSource:
    """Makes a source of a single image."""
    _need_pillow()
    return ImageSource((path,))


def open_folder(folder: Path) -> ImageSource:
    """Makes a source of all images below a folder, sorted by path, hidden files left out.

    Raises:
        UsageError: There is no image.
    """
    _need_pillow()
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    images = tuple(path for path in files if path.suffix.lower() in SUFFIXES)
    if not images:
        raise UsageError(f"{folder} holds no images; images have one of the suffixes {', '.join(sorted(SUFFIXES))}")
    return ImageSource(images, tuple(path for path in files if path.suffix.lower() not in SUFFIXES))


def _need_pillow() -> None:
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise UsageError("reading images needs Pillow: pip install 'foldserve[batch]'") from None
