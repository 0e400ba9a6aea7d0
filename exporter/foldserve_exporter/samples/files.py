"""Samples from files: `.npz`, `.npy`, or a folder of images."""

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from foldserve_contract.errors import FoldserveError, TensorError
from foldserve_contract.signature import Array, Arrays, Signature, TensorSpec

from .images import read_images


class SamplesError(FoldserveError):
    """The samples cannot be read, or do not fit the model's inputs."""


def read_samples(path: Path, signature: Signature) -> dict[str, Array]:
    """Reads one array per input, each with the same number of rows.

    An `.npz` holds one array per input under the input's name, or a single array under any name; an `.npy` is the only
    input; a folder of images is read in order of paths and resized to the input's height and width.

    Raises:
        SamplesError: The file is missing or unreadable, or its arrays do not fit the inputs.
    """
    return _fit_all(_read(path, signature.inputs), signature, str(path))


def fit_samples(samples: Array | Arrays, signature: Signature) -> dict[str, Array]:
    """Fits arrays to the inputs as `read_samples` does: one array for the only input, or arrays by name."""
    arrays = dict(samples) if isinstance(samples, Mapping) else {signature.inputs[0].name: np.asarray(samples)}
    return _fit_all(arrays, signature, "samples")


def load_samples(samples: Path | str | Array | Arrays, signature: Signature, unused: Collection[str] = ()) -> Arrays:
    """Reads samples from a file, or fits those given as arrays; see `read_samples` and `fit_samples`.

    Args:
        samples: A file, a folder of images, an array, or arrays by name.
        signature: The inputs that they are for.
        unused: Names of arrays that may be there as well, and are left out.
    """
    if isinstance(samples, str | Path):
        path = Path(samples)
        return _fit_all(_without(_read(path, signature.inputs), unused), signature, str(path))
    return fit_samples(_without(samples, unused) if isinstance(samples, Mapping) else samples, signature)


def _without(arrays: Arrays, unused: Collection[str]) -> dict[str, Array]:
    return {name: array for name, array in arrays.items() if name not in unused}


def first_rows(samples: Path | str | Array | Arrays | None, rows: int) -> dict[str, Array]:
    """The first rows of samples as they are, before they are fitted to a model; none of a folder of images.

    Raises:
        SamplesError: The file is missing or unreadable.
    """
    if samples is None or (isinstance(samples, str | Path) and Path(samples).is_dir()):
        return {}
    if isinstance(samples, str | Path):
        arrays = _read(Path(samples), ())
    else:
        arrays = dict(samples) if isinstance(samples, Mapping) else {"": np.asarray(samples)}
    return {name: array[:rows] for name, array in arrays.items() if array.ndim and len(array)}


def unreadable_reason(error: Exception) -> str:
    """NumPy's error about an unreadable file, without its advice to unpickle it, which would run code from the file."""
    if "pickle" in str(error):
        return "it holds Python objects, or is not an array file; write numbers with numpy.save or numpy.savez"
    return str(error)


def _fit_all(arrays: dict[str, Array], signature: Signature, origin: str) -> dict[str, Array]:
    if len(arrays) == 1 and len(signature.inputs) == 1:
        arrays = {signature.inputs[0].name: next(iter(arrays.values()))}
    try:
        fitted = {spec.name: _fit(arrays[spec.name], spec) for spec in signature.inputs if spec.name in arrays}
        if signature.check_inputs({**arrays, **fitted}) == 0:
            raise TensorError("it holds no rows")
    except TensorError as error:
        raise SamplesError(f"{origin} does not fit the model: {error}") from error
    return fitted


def _read(path: Path, inputs: tuple[TensorSpec, ...]) -> dict[str, Array]:
    try:
        if path.is_dir():
            return {path.name: read_images(path, _only(path, inputs))}
        if path.suffix == ".npy":
            return {path.stem: np.load(path, allow_pickle=False)}
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SamplesError(f"{path} cannot be read as samples: {unreadable_reason(error)}") from error
    raise SamplesError(f"{path} is not an .npz file, an .npy file or a folder of images")


def _only(path: Path, inputs: tuple[TensorSpec, ...]) -> TensorSpec:
    if len(inputs) != 1:
        names = [spec.name for spec in inputs]
        raise ValueError(f"a folder of images needs a model with one input, and this one has {names}; give an .npz")
    return inputs[0]


def _fit(array: Array, spec: TensorSpec) -> Array:
    """Converts an array to the input's dtype; rounding to floats aside, no value may change."""
    target = np.dtype(spec.dtype)
    whole = target.kind in "iuf" and array.dtype.kind in "iu"
    if array.dtype.kind not in "biuf" or not (whole or np.can_cast(array.dtype, target, "same_kind")):
        hint = "; give it whole numbers, as callers will send them" if target.kind in "iu" else ""
        raise TensorError(f"tensor {spec.name!r}: expected dtype {spec.dtype}, received {array.dtype}{hint}")
    fitted = array.astype(target)
    if target.kind in "iu" and not np.array_equal(fitted, array):
        limits = np.iinfo(target)
        raise TensorError(
            f"tensor {spec.name!r}: expected values from {limits.min} to {limits.max} for {spec.dtype},"
            f" received {array.min()}…{array.max()}"
        )
    if target.kind == "f" and not np.isfinite(fitted).all():
        row = int(np.argwhere(~np.isfinite(fitted))[0][0])
        raise TensorError(f"tensor {spec.name!r}: row {row} holds a value that is not finite in {spec.dtype}")
    return fitted
