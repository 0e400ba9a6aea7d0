"""Digests that identify a model: of a file, of a directory, of weights."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from foldserve_contract.digest import sha256, sha256_file


def digest(path: Path) -> str:
    """SHA-256 of a file; of a directory, that of its files' names and digests in order, as `sha256sum` lists them."""
    if path.is_file():
        return sha256_file(path)
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    return sha256("".join(f"{sha256_file(file)}  {name}\n" for name, file in files).encode())


def weights_digest(model: Any) -> str:
    """SHA-256 over a model's variables in order, for a model that was not loaded from a file."""
    sha = hashlib.sha256()
    for variable in model.variables:
        sha.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return sha.hexdigest()
