"""Output files of a command, written whole or not at all, and JSON of records."""

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

from foldserve_contract.records import to_json

_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that it is there whole or, where the disk is full, as it was before."""
    if str(path) in _STDOUT:  # it may lead to a file that holds more than this
        print(text, end="", flush=True)
        return
    there = path.resolve()
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_text(text, encoding="utf-8")
        return
    beside = there.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        if there.exists():
            shutil.copymode(there, beside)
        beside.replace(there)
    finally:
        beside.unlink(missing_ok=True)


def as_json(record: object) -> str:
    """A record as indented JSON; null where a number is not finite, as JSON has no NaN."""
    return json.dumps(_finite(to_json(record)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
