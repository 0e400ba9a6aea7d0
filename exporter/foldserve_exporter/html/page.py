"""Self-contained HTML pages."""

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --good: #1a7f37; --bad: #cf222e; --line: #8884; }
@media (prefers-color-scheme: dark) { :root { --good: #3fb950; --bad: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, p, li { overflow-wrap: anywhere; } h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; margin: 1rem 0; } table { border-collapse: collapse; width: 100%; } th { text-align: left; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); }
.bar { background: var(--line); height: .6rem; min-width: 8rem; } .bar i { display: block; height: 100%; }
.bar i.good { background: var(--good); } .bar i.bad { background: var(--bad); }
.warning { border-left: .25rem solid #bf8700; padding-left: .8rem; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page; the parts are HTML, the title is not."""
    fit = '<meta name="viewport" content="width=device-width">'
    head = f'<meta charset="utf-8">{fit}<title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def paragraph(text: str) -> str:
    """A paragraph of escaped text."""
    return f"<p>{escape(text)}</p>"


def bullets(items: Iterable[str]) -> str:
    """A bullet list of escaped texts."""
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of escaped texts and numbers."""
    body = "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows)
    return framed("<tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + f"</tr>{body}")


def framed(rows: str) -> str:
    """A table of HTML rows; where it is wider than the screen, it scrolls and not the page."""
    return f'<div class="wide"><table>{rows}</table></div>'


def cell(value: object) -> str:
    """A table cell; floats to three digits."""
    if isinstance(value, float):
        return f'<td class="number">{value:.3g}</td>'
    return f"<td>{escape(str(value))}</td>"
