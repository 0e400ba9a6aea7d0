"""The report on a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..diagnosis.terminal import print_finding
from ..verify.verdict import CandidateVerdict
from .record import Report
from .text_lines import (
    candidate_result,
    diagnosis_line,
    fold_summary,
    golden_line,
    phase_lines,
    phase_note,
    recalibration_lines,
    size_lines,
    verdict,
)

_NAMED = 3


def print_report(report: Report, console: Console) -> None:
    """Prints the verdict first, then its evidence."""
    console.print(Text(verdict(report), style="bold green" if report.published else "bold red"))
    console.print(Text(diagnosis_line(report)))
    for finding in report.findings[:_NAMED]:
        print_finding(finding, console)
    if len(report.findings) > _NAMED:
        console.print(f"  … and {len(report.findings) - _NAMED} more, in report.html", highlight=False)
    console.print(fold_summary(report))
    for line in recalibration_lines(report):
        console.print(Text(f"  {line}"))
    for line in phase_lines(report):
        console.print(Text(f"  {line}"))
    if note := phase_note(report):
        console.print(Text(f"  {note}", style="yellow"))
    if report.fold:
        console.print(_fold_table(report))
    console.print(_candidate_table(report))
    for line in size_lines(report):
        console.print(line, highlight=False)
    console.print(golden_line(report))
    for warning in report.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))


def _fold_table(report: Report) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("BatchNormalization", "call", "action", "reason"):
        table.add_column(heading, overflow="fold")
    for entry in report.fold:
        table.add_row(*map(Text, (entry.bn, str(entry.call), entry.action, entry.reason)))
    return table


def _candidate_table(report: Report) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("candidate", "output", "deviation", "limit", "among others", "verdict"):
        table.add_column(heading, overflow="fold")
    for candidate in report.verification.candidates:
        _add_rows(table, candidate)
    return table


def _add_rows(table: Table, candidate: CandidateVerdict) -> None:
    style = "green" if candidate.passed else "red"
    result = Text(candidate_result(candidate), style=style)
    if not candidate.outputs:
        table.add_row(candidate.name, "", "", "", "", result, style=style)
    for name, output in candidate.outputs.items():
        numbers = (f"{output.deviation:.2e}", f"{output.limit:.2e}", f"{output.composition:.2e}")
        table.add_row(candidate.name, Text(name), *numbers, result)
