"""Plots of the drift by layer, drawn as SVG into the page itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from .drift import LayerDrift

_ROW = 18
_NAME = 300
_PANEL = 190
_GAP = 28
_TOP = 42
_LONGEST = 42


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of the plot: one quantity, a bar for each layer.

    Attributes:
        title: The quantity.
        value: Reads it from a layer's drift; None where it was not measured, and nothing is drawn.
        limit: The value from which on it is too much; None for no such line.
        least: The smallest end of the axis.
    """

    title: str
    value: Callable[[LayerDrift], float | None]
    limit: float | None
    least: float


def drift_plot(drifts: Sequence[LayerDrift], limit: float) -> str:
    """The plot of all layers from input to output: the drift of each, its parts, and its effect on the predictions."""
    panels = (
        Panel("output off by", lambda d: d.drift, limit, 1.5 * limit),
        Panel("|μ − μ_data| / σ_data", lambda d: d.shift, None, 0.5),
        Panel("|log σ² / σ²_data|", lambda d: d.log_ratio, None, 0.5),
        Panel("predictions changed", lambda d: None if d.effect is None else d.effect.size, None, 1.0),
    )
    width, height = _NAME + len(panels) * (_PANEL + _GAP), _TOP + _ROW * len(drifts) + 8
    names = "".join(_name(drift, row) for row, drift in enumerate(drifts))
    drawn = "".join(
        _panel(panel, drifts, _NAME + position * (_PANEL + _GAP), limit) for position, panel in enumerate(panels)
    )
    return (
        f'<svg class="drift" viewBox="0 0 {width} {height}" role="img" font-size="12" fill="currentColor">'
        f"<title>Drift of every BatchNormalization, from input to output</title>{names}{drawn}</svg>"
    )


def _name(drift: LayerDrift, row: int) -> str:
    name = drift.layer if len(drift.layer) <= _LONGEST else f"…{drift.layer[-_LONGEST:]}"
    frozen = " ❄" if drift.frozen else ""
    return f'<text x="{_NAME - 10}" y="{_middle(row)}" text-anchor="end">{escape(name + frozen)}</text>'


def _panel(panel: Panel, drifts: Sequence[LayerDrift], left: int, limit: float) -> str:
    values = [panel.value(drift) for drift in drifts]
    most = max([panel.least, *(value for value in values if value is not None)])
    bottom = _TOP + _ROW * len(drifts)
    parts = [
        f'<text x="{left}" y="14" font-weight="600">{escape(panel.title)}</text>',
        f'<text x="{left}" y="30" opacity=".6">0</text>',
        f'<text x="{left + _PANEL}" y="30" opacity=".6" text-anchor="end">{most:.2g}</text>',
        f'<line x1="{left}" x2="{left}" y1="{_TOP - 6}" y2="{bottom}" stroke="currentColor" opacity=".4"/>',
    ]
    for row, (drift, value) in enumerate(zip(drifts, values, strict=True)):
        if value is None:
            continue
        length = max(1.0, _PANEL * value / most)
        mark = "bad" if drift.drift > limit else "good"
        parts.append(
            f'<rect class="{mark}" x="{left}" y="{_middle(row) - 10}" width="{length:.1f}" height="{_ROW - 6}">'
            f"<title>{escape(drift.layer)}: {value:.3g}</title></rect>"
        )
    if panel.limit is not None:
        at = left + _PANEL * panel.limit / most
        parts.append(
            f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 6}" y2="{bottom}" stroke-dasharray="4 3"/>'
        )
    return "".join(parts)


def _middle(row: int) -> int:
    return _TOP + _ROW * row + 12
