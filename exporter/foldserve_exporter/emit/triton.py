"""Triton's `config.pbtxt`, with which it serves `model.onnx` of every version beside it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONFIG = "config.pbtxt"


@contextmanager
def published_config(staging: Path, name: str, max_batch_size: int) -> Iterator[None]:
    """Writes the file beside the version that is published meanwhile, and removes it again if that fails.

    An existing file is left alone: an operator may have tuned it.

    Args:
        staging: The directory that is being published.
        name: The model's name.
        max_batch_size: The most rows that Triton may put in a batch.

    Raises:
        OSError: It cannot be written.
    """
    path = staging.parent / _CONFIG
    if path.exists():
        yield
        return
    temporary = staging / _CONFIG  # complete before it is visible
    temporary.write_text(
        f'name: {json.dumps(name)}\nbackend: "onnxruntime"\nmax_batch_size: {max_batch_size}\n', encoding="utf-8"
    )
    temporary.replace(path)
    try:
        yield
    except BaseException:
        if not any(entry.name.isdigit() for entry in staging.parent.iterdir()):  # no other version is published
            path.unlink(missing_ok=True)
        raise
