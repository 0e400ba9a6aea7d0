"""Class names of a classifier: read from a file, checked against the signature."""

import json
from pathlib import Path

from foldserve_contract.signature import Signature

from .errors import Refused
from .options import OptionsError


def read_class_names(path: Path) -> tuple[str, ...]:
    """Reads one name a line, or a JSON list of names.

    Raises:
        OptionsError: The file cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows begin with a byte order mark
        names = json.loads(text) if path.suffix == ".json" else text.splitlines()
    except (OSError, ValueError) as error:
        raise OptionsError(f"{path} cannot be read as labels: {error}") from error
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise OptionsError(f"{path} must hold one label a line, none empty, or a JSON list of them")
    return tuple(name.strip() for name in names)


def named_outputs(names: tuple[str, ...], signature: Signature) -> frozenset[str]:
    """The outputs that are vectors of as many scores as there are names."""
    return frozenset(spec.name for spec in signature.outputs if names and spec.row_shape == (len(names),))


def check_class_names(names: tuple[str, ...], signature: Signature) -> None:
    """Checks that there is a name for every class.

    Raises:
        Refused: No output is a vector with as many scores.
    """
    classes = [spec.row_shape[0] for spec in signature.outputs if len(spec.row_shape) == 1]
    if len(names) not in classes:
        received = f"the outputs are vectors of {classes} scores" if classes else "no output is a vector of scores"
        raise Refused(f"there are {len(names)} labels, and {received}")
