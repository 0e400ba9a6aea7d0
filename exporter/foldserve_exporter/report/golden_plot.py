"""Plot of the golden check: how far a typical weight of each layer may be off before it is noticed."""

import math
from collections.abc import Iterator

from ..html.bars import Bar, Tone, bar_rows
from ..html.page import folded, paragraph
from .golden_check import GoldenCheck
from .shares import percent

_SHOWN = 10
_FINEST = 1e-5  # the left end of the logarithmic axis; its right end is 1, a weight that doubles or is missing


def golden_parts(check: GoldenCheck) -> Iterator[str]:
    """The bluntest layers, and all of them folded away."""
    yield paragraph(f"{check.line()}.")
    if not check.noticed:
        return
    yield paragraph(
        "By layer, how far a weight of median influence may be off before an answer leaves its tolerance, estimated"
        " from derivatives. The shorter the bar, the sharper the check; the axis is logarithmic, from 0.001% to 100%.",
        "quiet",
    )
    bars = [_bar(layer, value) for layer, value in check.noticed.items()]
    bluntest = sorted(bars, key=lambda row: -row.share)[:_SHOWN]
    yield bar_rows("The layers in which the golden check is bluntest", bluntest)
    if len(bars) > _SHOWN:
        yield folded(f"All {len(bars)} layers, from input to output", (bar_rows("Golden check of every layer", bars),))


def _bar(layer: str, value: float | None) -> Bar:
    if value is None or value > 1:
        return Bar(layer, 1.0, Tone.WARN, "! not noticed")
    share = 1 - math.log(max(value, _FINEST)) / math.log(_FINEST)
    return Bar(layer, max(share, 0.01), Tone.GOOD, percent(value))
