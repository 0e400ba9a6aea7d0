"""File descriptors of this process: their limit, and the standard streams."""

import os
import resource
import sys

_MOST = 1 << 20  # some systems set no bound, and some libraries loop over every possible descriptor
_STANDARD = range(3)


def raise_limit() -> int:
    """Raises the soft limit as far as the system allows, and returns it.

    Shells allow 1,024 descriptors by default, and every caller's connection takes one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = _MOST if hard == resource.RLIM_INFINITY else min(_MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < raised:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        return raised
    return soft


def open_standard_streams() -> None:
    """Opens those of stdin, stdout and stderr that are closed on the null device.

    A socket would get the free number otherwise, and receive what libraries and child processes print.
    """
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)


def print_line(line: str) -> str | None:
    """Prints a line; returns the error where stdout cannot be written, and discards everything printed after it."""
    try:
        print(line, flush=True)
    except OSError as error:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # the rest of the line is flushed there when the process ends
        os.close(null)
        return error.strerror
    return None
