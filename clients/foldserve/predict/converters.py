"""Conversions of arguments from text."""

import argparse
from pathlib import Path

from .errors import UsageError


def positive_integer(text: str) -> int:
    """Reads a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, received {text}")
    return value


def positive_seconds(text: str) -> float:
    """Reads a number of seconds above 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected more than 0 seconds, received {text}")
    return value


def value_range(text: str) -> tuple[float, float]:
    """Reads two numbers with a comma between them."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected LOW,HIGH such as 0,1, received {text!r}") from None
    return low, high


def output_path(text: str) -> Path:
    """Reads the path of an `.npz` or `.npy`.

    Raises:
        UsageError: The path has another suffix.
    """
    path = Path(text)
    if path.suffix not in {".npz", ".npy"}:
        raise UsageError(f"OUT must end in .npz or .npy, received {text!r}")
    return path


def input_paths(texts: list[str]) -> tuple[Path, ...]:
    """Reads the paths of all inputs, in their order."""
    return tuple(map(Path, texts))
