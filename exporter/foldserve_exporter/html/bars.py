"""Bars of a page, each beside its number: colour and length only repeat what is written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape


class Tone(StrEnum):
    """Tone of a statement: the class of its colour."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    NOTE = "note"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Bar:
    """A row with a bar.

    Attributes:
        name: What it is of.
        share: Its length, from 0 to 1; more, and what is not a number, fills it.
        tone: Its colour.
        text: The number in words.
    """

    name: str
    share: float
    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a whole: a number of things, and what they are."""

    count: int
    name: str
    tone: Tone


def bar(share: float, tone: Tone) -> str:
    """A bar alone, for those who see it."""
    width = 100 * share if 0 <= share <= 1 else 100.0
    return f'<div class="bar {tone}" aria-hidden="true"><i style="width:{width:.1f}%"></i></div>'


def bar_rows(caption: str, bars: Iterable[Bar]) -> str:
    """A table of bars, each with its name and its number."""
    rows = "".join(
        f'<tr><th scope="row">{escape(row.name)}</th><td>{bar(row.share, row.tone)}</td>'
        f'<td class="{row.tone}">{escape(row.text)}</td></tr>'
        for row in bars
    )
    return f'<table class="bars" aria-label="{escape(caption)}"><tbody>{rows}</tbody></table>'


def stacked(parts: Sequence[Part]) -> str:
    """One bar of several parts, and a list of what they are."""
    present = [part for part in parts if part.count]
    total = sum(part.count for part in present) or 1
    pieces = "".join(f'<i class="{part.tone}" style="width:{100 * part.count / total:.1f}%"></i>' for part in present)
    names = "".join(
        f'<li><b class="{part.tone}" aria-hidden="true"></b> {part.count:,} {escape(part.name)}</li>'
        for part in present
    )
    return f'<div class="bar" aria-hidden="true">{pieces}</div><ul class="legend">{names}</ul>'
