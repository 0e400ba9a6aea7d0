"""`report.json` and `report.html` in a directory."""

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

from foldserve_contract.records import to_json

from .html import render
from .record import Report

_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def write_reports(report: Report, directory: Path) -> None:
    """Writes both."""
    write_json(report, directory / "report.json")
    write_page(report, directory / "report.html")


def write_json(report: Report, path: Path) -> None:
    """Writes the report for programs; it has null where a number is not finite, as JSON knows no NaN."""
    write_whole(path, as_json(report))


def write_page(report: Report, path: Path) -> None:
    """Writes the report for people."""
    write_whole(path, render(report))


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that it is there whole or, where the disk is full, as it was."""
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


def as_json(report: object) -> str:
    """A report or a diagnosis as indented JSON."""
    return json.dumps(_finite(to_json(report)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
