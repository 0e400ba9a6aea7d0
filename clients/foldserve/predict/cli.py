"""The command `predict-model`: entry point and exit statuses."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import IntEnum

from foldserve_contract.standard_output import CannotPrint, printing
from foldserve_contract.unforeseen import UNFORESEEN, describe_unforeseen

from ..errors import ConfigurationError, FoldserveError
from .command_line import parse
from .errors import UsageError
from .options import RunOptions
from .report import Summary
from .run import run


class ExitStatus(IntEnum):
    """Exit statuses of the command."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    SERVER = 3
    DISK = 4
    UNFORESEEN = UNFORESEEN
    INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    try:
        options = parse(arguments)
        summary = run(options)
    except (UsageError, ConfigurationError) as error:
        return _end(ExitStatus.USAGE, error)
    except FoldserveError as error:
        return _end(ExitStatus.SERVER, f"{error}\nthe same command resumes where this one stopped")
    except OSError as error:
        return _end(ExitStatus.DISK, f"{error}\nthe same command resumes where this one stopped")
    except KeyboardInterrupt:
        return _end(ExitStatus.INTERRUPTED, "interrupted; the same command resumes")
    except Exception as error:
        missing = "the same command resumes where this one stopped"
        return _end(ExitStatus.UNFORESEEN, describe_unforeseen("predict-model", "predict", error, missing))
    try:
        with printing():
            _print(summary, options)
    except CannotPrint as error:
        return _end(ExitStatus.DISK, error)
    return ExitStatus.SOME_FAILED if summary.failed else ExitStatus.OK


def _print(summary: Summary, options: RunOptions) -> None:
    if options.json:
        print(json.dumps(asdict(summary), default=str))
    elif not options.quiet:
        print(summary.text())


def _end(status: ExitStatus, reason: object) -> ExitStatus:
    print(f"predict-model: {reason}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
