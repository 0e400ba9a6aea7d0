"""Plots of accuracy by epoch as SVG, with the curves of the benchmarks."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from command import report

sys.path.append(str(Path(__file__).resolve().parents[2]))
from benchmarks.curve import Line, draw_curve


def draw(path: Path | None, title: str, curves: Mapping[str, Sequence[float]]) -> None:
    """Writes the plot, unless the path is None. Curves are shares, from the first epoch on."""
    if path is None:
        return
    lines = [
        Line(name, [(epoch, 100 * share) for epoch, share in enumerate(shares, 1)]) for name, shares in curves.items()
    ]
    path.write_text(draw_curve(title, "epoch", lines, top=100))
    report(f"drawn: {path}")
