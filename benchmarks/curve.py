"""A curve as SVG, without a library."""

from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN = 720, 300, 50
COLOURS = ("#1b6ca8", "#c1440e", "#3a7d44")


@dataclass(frozen=True, slots=True)
class Line:
    """A named line through points, x ascending."""

    name: str
    points: list[tuple[float, float]]


def draw_curve(title: str, below: str, lines: list[Line], top: float | None = None) -> str:
    """Lines over one axis; y begins at 0, so that a slope is seen in its true size.

    Args:
        title: What is drawn, and its unit.
        below: What x is.
        lines: At most as many as there are colours.
        top: Where y ends; a tenth above the highest point if it is not said.
    """
    right = max(x for line in lines for x, _ in line.points) or 1
    top = top or max(y for line in lines for _, y in line.points) * 1.1 or 1

    def place(x: float, y: float) -> str:
        across = MARGIN + x / right * (WIDTH - 2 * MARGIN)
        return f"{across:.1f},{HEIGHT - MARGIN - y / top * (HEIGHT - 2 * MARGIN):.1f}"

    parts = [_text(WIDTH / 2, 20, title, "middle"), _text(WIDTH / 2, HEIGHT - 10, below, "middle")]
    parts.append(f'<polyline points="{place(0, top)} {place(0, 0)} {place(right, 0)}" fill="none" stroke="#555"/>')
    parts += [_text(MARGIN - 6, _down(place(0, y)) + 4, f"{y:.0f}", "end") for y in (0, top / 2, top)]
    ticks = (0, right / 2, right) if right % 2 == 0 else (0, right)  # whole numbers of whatever is counted
    parts += [_text(_across(place(x, 0)), HEIGHT - MARGIN + 16, f"{x:g}", "middle") for x in ticks]
    named = MARGIN  # the names stand in one row above the axis, where no line passes
    for line, colour in zip(lines, COLOURS, strict=False):
        points = " ".join(place(x, y) for x, y in line.points)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(named, 40, line.name, "start", colour))
        named += 7 * len(line.name) + 24
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *parts, "</svg>", ""])


def _text(x: float, y: float, words: str, anchor: str, colour: str = "#222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def _across(place: str) -> float:
    return float(place.split(",")[0])


def _down(place: str) -> float:
    return float(place.split(",")[1])
