"""`serve-model`."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import NoReturn

from foldserve_contract.unforeseen import UNFORESEEN, describe_unforeseen

from .config.parse_flags import parse
from .errors import CannotStart, FrontEndsFailed
from .system.allocator import keep_freed_pages
from .system.file_descriptors import open_standard_streams, raise_limit
from .system.log import configure

log = logging.getLogger(__name__)
USAGE, BROKEN = 2, 1
_NEEDED = {"aiohttp": "aiohttp", "grpc_health": "grpcio-health-checking", "grpc_reflection": "grpcio-reflection"}


def main(words: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT.

    SIGTERM and SIGINT end it quietly from here on: the first process of a container ignores them by default.

    Returns:
        The exit status: 0 after SIGTERM or SIGINT, 2 where a start is not possible, 1 where front ends end again and
        again, 70 after an error that nobody foresaw.
    """
    open_standard_streams()
    with _ending_quietly():
        return _main(sys.argv[1:] if words is None else words)


def _main(words: Sequence[str]) -> int:
    try:
        command = parse(words)
        _check_extra()
        configure(command.log_style, command.log_level)
        for warning in command.warnings:
            log.warning("%s", warning)
        keep_freed_pages()
        raise_limit()
        from .app import serve  # slow: not for --help

        asyncio.run(serve(command.options, words))
    except CannotStart as error:
        print(f"serve-model: {error}", file=sys.stderr)
        return USAGE
    except FrontEndsFailed as error:
        print(f"serve-model: {error}", file=sys.stderr)
        return BROKEN
    except Exception as error:
        print(f"serve-model: {describe_unforeseen('serve-model', 'serve', error, '')}", file=sys.stderr)
        return UNFORESEEN
    return 0


@contextlib.contextmanager
def _ending_quietly() -> Iterator[None]:
    """Context in which a signal ends the process, until the server installs handlers of its own."""

    def end(number: int, frame: object) -> NoReturn:
        raise SystemExit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_extra() -> None:
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise CannotStart(f"{', '.join(missing)} is not installed: pip install 'foldserve[server]'")
    from .engines.launcher import check_runtime  # with NumPy: not for --help

    check_runtime()
