"""Standard output of a command, which may be a closed pipe, a full disk or a terminal with few letters."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class CannotPrint(OSError):
    """Standard output is closed, or leads to a disk that is full; what was done before is done."""


@contextmanager
def printing() -> Iterator[None]:
    """Context in which a result is printed, and has been printed at its end.

    Raises:
        CannotPrint: Not all of it could be.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        _drop()
        raise CannotPrint(f"what was to be printed could not be: {error}") from error


def _drop() -> None:
    """Leads standard output nowhere, so that Python does not try again when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
