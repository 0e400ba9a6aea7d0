"""Certificates and tokens, read again when their files change: for new connections, and for every new request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from .errors import CannotStart
from .file_watch import FileWatch
from .tls import LiveTls
from .tokens import read_tokens
from .transport import Transport

log = logging.getLogger(__name__)
EVERY_S = 1.0


async def keep_fresh(
    transport: Transport, interval_s: float = EVERY_S, wait: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Looks at the files after every interval, until it is cancelled."""
    await asyncio.gather(*(watch.run(interval_s, wait) for watch in watches(transport)))


def watches(transport: Transport) -> list[FileWatch]:
    """Those of the files that there are. They may have changed since they were read: the first look applies them."""
    found = []
    if transport.tls_file is not None and transport.tls is not None:
        found.append(FileWatch(transport.tls_file, _encrypting(transport.tls_file, transport.tls), applied=False))
    if transport.tokens_file is not None and transport.access is not None:
        found.append(FileWatch(transport.tokens_file, _admitting(transport), applied=False))
    return found


def _encrypting(path: Path, tls: LiveTls) -> Callable[[], Awaitable[None]]:
    from .textproto.transport import read_tls  # protocol buffers are slow to import: only where they are needed

    async def apply() -> None:
        try:
            changed = tls.become(await asyncio.to_thread(read_tls, path))
        except ValueError as error:
            raise CannotStart(str(error)) from error
        if changed:
            log.info("%s: new connections are encrypted with what it says now", path)

    return apply


def _admitting(transport: Transport) -> Callable[[], Awaitable[None]]:
    async def apply() -> None:
        assert transport.tokens_file is not None and transport.access is not None
        known = await asyncio.to_thread(read_tokens, transport.tokens_file)
        if transport.access.become(known):
            log.info("%s: these tokens are known now: %s", transport.tokens_file, ", ".join(known.holders))

    return apply
