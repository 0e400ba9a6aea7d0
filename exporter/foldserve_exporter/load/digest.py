"""One digest for a model, be it a file or a directory."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from foldserve_contract.digest import sha256, sha256_file


def digest(path: Path) -> str:
    """SHA-256 of a file; of a directory, that of its files' names and digests in order, as `sha256sum` lists them."""
    if path.is_file():
        return sha256_file(path)
    files = sorted((each.relative_to(path).as_posix(), each) for each in path.rglob("*") if each.is_file())
    return sha256("".join(f"{sha256_file(each)}  {name}\n" for name, each in files).encode())


def weights_digest(model: Any) -> str:
    """SHA-256 over a model's variables in order: what a model that came from no file is known by."""
    whole = hashlib.sha256()
    for variable in model.variables:
        whole.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return whole.hexdigest()
