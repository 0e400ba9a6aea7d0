"""HDF5 files as data: nothing in them may point to another file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from foldserve_contract.signature import Array

from ...errors import CannotLoad, Refused

MAX_WEIGHT_BYTES = 64 << 30
_MAX_ITEMS = 1_000_000


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Opens a file for reading.

    Raises:
        CannotLoad: It is not an HDF5 file, or is truncated or damaged, also where that shows only while it is read.
        Refused: A link or a dataset in it points to another file.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _require_self_contained(file, path)
            yield file
    except (OSError, KeyError, RuntimeError, UnicodeDecodeError) as error:
        raise CannotLoad(f"{path} is not an HDF5 file, or is damaged or cut short: {error}") from error


def attribute(group: Any, name: str) -> str | None:
    """The value of a text attribute, which old files hold as bytes; None where it is missing."""
    value = group.attrs.get(name)
    return value.decode() if isinstance(value, bytes) else None if value is None else str(value)


def names(group: Any, attribute_name: str) -> list[str]:
    """The value of an attribute of names; long lists are split into NAME0, NAME1 and so on."""
    pieces: Sequence[Any]
    if attribute_name in group.attrs:
        pieces = [group.attrs[attribute_name]]
    else:
        numbered = (f"{attribute_name}{number}" for number in range(len(group.attrs)))
        pieces = [group.attrs[name] for name in numbered if name in group.attrs]
    return [name.decode() if isinstance(name, bytes) else str(name) for piece in pieces for name in piece]


def array(group: Any, name: str) -> Array:
    """The values of a dataset."""
    return np.asarray(group[name][()])


def _require_self_contained(file: Any, path: Path) -> None:
    import h5py

    total, pending, seen = 0, [file], 0
    while pending:
        group = pending.pop()
        for name in group:
            seen += 1
            if seen > _MAX_ITEMS:
                raise CannotLoad(f"{path} holds more than {_MAX_ITEMS:,} groups and datasets")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"{path}: {group.name}/{name} is a link; Keras writes none. Save the model again")
            item = group[name]
            if isinstance(item, h5py.Group):
                pending.append(item)
            elif item.external or item.is_virtual:
                raise Refused(f"{path}: {item.name} takes its numbers from another file. Save the model again")
            else:
                total += item.nbytes
    if total > MAX_WEIGHT_BYTES:
        raise CannotLoad(f"{path} declares {total:,} bytes of weights; at most {MAX_WEIGHT_BYTES:,} are read")
