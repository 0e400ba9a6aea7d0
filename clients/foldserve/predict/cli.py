"""The command `predict-model`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import IntEnum

from ..errors import ConfigurationError, FoldserveError
from .arguments import parse
from .errors import UsageError
from .run import run


class Exit(IntEnum):
    """How the command ends."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    SERVER = 3
    INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit status."""
    try:
        words = parse(arguments)
        summary = run(words.options, words.quiet)
    except (UsageError, ConfigurationError) as error:
        return _end(Exit.USAGE, error)
    except FoldserveError as error:
        return _end(Exit.SERVER, f"{error}\nthe same command resumes where this one stopped")
    except KeyboardInterrupt:
        return _end(Exit.INTERRUPTED, "interrupted; the same command resumes")
    if words.json:
        print(json.dumps(asdict(summary), default=str))
    elif not words.quiet:
        print(summary.words())
    return Exit.SOME_FAILED if summary.failed else Exit.OK


def _end(status: Exit, reason: object) -> Exit:
    print(f"predict-model: {reason}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
