"""Output of a diagnosis on a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..predictions.change_text import change_text
from .finding import Finding, Severity
from .result import Diagnosis
from .summary import prediction_lines, verdict

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Prints the verdict, the findings from the gravest on, and the predictions they were measured by."""
    console.print(Text(verdict(diagnosis), style=f"bold {_tone(diagnosis)}"))
    for note in diagnosis.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    for finding in diagnosis.findings:
        console.print()
        print_finding(finding, console)
    if diagnosis.phase_1 is not None:
        console.print()
    for line in prediction_lines(diagnosis):
        console.print(Text(line))


def _tone(diagnosis: Diagnosis) -> str:
    return _COLOURS[diagnosis.findings[0].severity] if diagnosis.findings else "green"


def print_finding(finding: Finding, console: Console) -> None:
    """Prints a finding with its layer, its effect on the predictions and its remedy."""
    where = f" in {finding.layer}" if finding.layer else ""
    console.print(Text(f"{finding.severity}: {finding.kind}{where}", style=f"bold {_COLOURS[finding.severity]}"))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("  found", Text(finding.what))
    if finding.effect is not None:
        table.add_row("  effect", Text(f"predictions change by {change_text(finding.effect)}"))
    table.add_row("  remedy", Text(finding.remedy))
    console.print(table)
