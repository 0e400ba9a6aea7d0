"""`report.json` and `report.html` in a directory."""

from pathlib import Path

from ..output_files import as_json, write_whole
from .html_report import render
from .record import Report


def write_reports(report: Report, directory: Path) -> None:
    """Writes both files."""
    write_json(report, directory / "report.json")
    write_page(report, directory / "report.html")


def write_json(report: Report, path: Path) -> None:
    """Writes the report as JSON, for programs."""
    write_whole(path, as_json(report))


def write_page(report: Report, path: Path) -> None:
    """Writes the report as HTML, for readers."""
    write_whole(path, render(report))
