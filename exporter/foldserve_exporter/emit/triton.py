"""`config.pbtxt`: what Triton needs to know to serve `model.onnx` of every version beside it."""

import json
from pathlib import Path


def write_config(model_directory: Path, name: str, max_batch_size: int) -> None:
    """Writes the file if it is not there: once it is, it belongs to whoever tunes that server."""
    path = model_directory / "config.pbtxt"
    if not path.exists():
        path.write_text(
            f'name: {json.dumps(name)}\nbackend: "onnxruntime"\nmax_batch_size: {max_batch_size}\n', encoding="utf-8"
        )
