"""`report.json` and `report.html` in a directory."""

import json
import math
from pathlib import Path
from typing import Any

from foldserve_contract.records import to_json

from .html import render
from .record import Report


def write_reports(report: Report, directory: Path) -> None:
    """Writes both."""
    write_json(report, directory / "report.json")
    write_page(report, directory / "report.html")


def write_json(report: Report, path: Path) -> None:
    """Writes the report for programs; it has null where a number is not finite, as JSON knows no NaN."""
    path.write_text(as_json(report), encoding="utf-8")


def write_page(report: Report, path: Path) -> None:
    """Writes the report for people."""
    path.write_text(render(report), encoding="utf-8")


def as_json(report: object) -> str:
    """A report or a diagnosis as indented JSON."""
    return json.dumps(_finite(to_json(report)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
