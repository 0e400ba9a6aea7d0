"""Output of a command: as wide as the terminal, and as wide as its lines where a file or a pipe takes it."""

import sys
from collections.abc import Callable
from io import StringIO

from rich.console import Console

_UNBOUNDED = 1 << 20


def show(draw: Callable[[Console], None]) -> None:
    """Draws on standard output; a file gets whole lines, which programs can search and no terminal has to fold."""
    console = Console()
    if console.is_terminal:
        draw(console)
    else:
        sys.stdout.write(unwrapped(draw))


def unwrapped(draw: Callable[[Console], None]) -> str:
    """What is drawn, without a limit to the width, and without the blanks that fill up a table's last column."""
    page = StringIO()
    draw(Console(file=page, width=_UNBOUNDED, color_system=None))
    return "".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines())
