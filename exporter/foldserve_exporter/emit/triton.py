"""`config.pbtxt`: what Triton needs to know to serve `model.onnx` of every version beside it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONFIG = "config.pbtxt"


@contextmanager
def config_beside(staging: Path, name: str, max_batch_size: int) -> Iterator[None]:
    """The file stands beside the version that is published meanwhile; where that fails, it is gone again.

    A file that is there is left alone: it belongs to whoever tunes that server.

    Args:
        staging: The directory that is being published.
        name: The model's name.
        max_batch_size: How many rows Triton may put together.

    Raises:
        OSError: It cannot be written.
    """
    path = staging.parent / _CONFIG
    if path.exists():
        yield
        return
    written = staging / _CONFIG  # whole before it is seen
    written.write_text(
        f'name: {json.dumps(name)}\nbackend: "onnxruntime"\nmax_batch_size: {max_batch_size}\n', encoding="utf-8"
    )
    written.replace(path)
    try:
        yield
    except BaseException:
        if not any(each.name.isdigit() for each in staging.parent.iterdir()):  # nobody else has published meanwhile
            path.unlink(missing_ok=True)
        raise
