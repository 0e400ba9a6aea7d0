"""Self-contained HTML pages: no script, nothing that is fetched."""

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1f2328; --quiet: #57606a; --surface: #f6f8fa; --line: #d0d7de;
  --track: #e4e8ec; --good: #1a7f37; --warn: #8a5a00; --bad: #cf222e; --note: #0969da; --rest: #8250df; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --text: #e6edf3; --quiet: #9198a1; --surface: #161b22;
  --line: #30363d; --track: #2a3038; --good: #3fb950; --warn: #d29922; --bad: #ff7b72; --note: #58a6ff;
  --rest: #bc8cff; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 1.5rem auto; padding: 0 1rem;
  color: var(--text); background: var(--page); }
h1, h2, h3, p, li, summary { overflow-wrap: anywhere; } h1 { font-size: 1.5rem; line-height: 1.25; margin: .25rem 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; } .quiet { color: var(--quiet); }
.wide { overflow-x: auto; margin: 1rem 0; } table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; } thead th { color: var(--quiet); }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); } .note { color: var(--note); }
.rest { color: var(--rest); }
.bar { display: flex; background: var(--track); height: .65rem; min-width: 6rem; border-radius: .2rem;
  overflow: hidden; }
.bar i { background: currentColor; height: 100%; min-width: 2px; }
.warning { border-left: .25rem solid var(--warn); padding-left: .8rem; color: inherit; }
details { border-top: 1px solid var(--line); padding: .5rem 0; } details + details { margin-top: 0; }
summary { cursor: pointer; font-weight: 600; padding: .2rem 0; }
summary:focus-visible, .wide:focus-visible { outline: 2px solid var(--note); }
table.bars th { font-weight: 400; width: 17rem; overflow-wrap: anywhere; } table.bars td { width: 45%; }
table.bars td + td { width: auto; } table.bars .bar { margin-top: .4rem; }
.legend { list-style: none; padding: 0; margin: .4rem 0 0; } .legend li { margin: 0; }
.legend b { display: inline-block; width: .7em; height: .7em; border-radius: .15em; background: currentColor; }
@media (max-width: 40rem) { table.bars, table.bars tbody, table.bars tr, table.bars th, table.bars td { display: block;
  width: auto; border: 0; padding: .1rem 0; }
  table.bars tr { border-bottom: 1px solid var(--line); padding: .5rem 0; } }
@media print { body { max-width: none; } details::details-content { content-visibility: visible; height: auto; } }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page; the parts are HTML, the title is not."""
    fit = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">{fit}<title>{escape(title)}</title><style>{_STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of escaped text; `kind` is the class that it is shown as."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def bullets(items: Iterable[str]) -> str:
    """A bullet list of escaped texts."""
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def folded(summary: str, parts: Iterable[str]) -> str:
    """Parts that are shown when their summary, an escaped text, is opened."""
    return f"<details><summary>{escape(summary)}</summary>\n" + "\n".join(parts) + "\n</details>"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of escaped texts and numbers."""
    return framed(heads, ("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows))


def framed(heads: Sequence[str], rows: Iterable[str]) -> str:
    """A table of HTML rows; where it is wider than the screen, it scrolls and not the page, by keyboard too."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in heads)
    body = "".join(rows)
    return scrolling(heads[0], f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def scrolling(label: str, content: str) -> str:
    """HTML that scrolls sideways where it is wider than the screen."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escape(label)}">{content}</div>'


def cell(value: object) -> str:
    """A table cell; floats to three digits."""
    if isinstance(value, float):
        return f'<td class="number">{value:.3g}</td>'
    return f"<td>{escape(str(value))}</td>"
