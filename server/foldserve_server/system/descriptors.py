"""The files and connections that this process has open."""

import os
import resource
import sys

_MOST = 1 << 20  # some systems set no bound, and some libraries look at every one that may be
_STANDARD = range(3)


def raise_limit() -> int:
    """As many as the system lets it, which it gives: shells allow 1,024 by default, and every caller takes one."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if most == resource.RLIM_INFINITY else min(_MOST, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        return wanted
    return now


def open_standard_streams() -> None:
    """Opens on nothing what of stdin, stdout and stderr was closed.

    A socket would get its number otherwise, and what libraries and children write there.
    """
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)


def print_line(line: str) -> str | None:
    """Prints a line, if anybody reads it; else why not, and nothing is printed any more."""
    try:
        print(line, flush=True)
    except OSError as error:
        nobody = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nobody, sys.stdout.fileno())  # what is left of the line is written there at the end
        os.close(nobody)
        return error.strerror
    return None
