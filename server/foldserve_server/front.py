"""What listens: gRPC on one port, REST and the page on another."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from .address import join
from .core.admin import Admin
from .core.table import Table
from .credentials import keep_fresh
from .options import Options

if TYPE_CHECKING:
    from .http.server import HttpServer
    from .rpc.server import RpcServer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Front:
    """The servers, `http` None where it was switched off, and what keeps their certificates and tokens fresh."""

    rpc: "RpcServer"
    http: "HttpServer | None"
    watching: "asyncio.Future[None]"

    @property
    def port(self) -> int:
        """Where gRPC is."""
        return self.rpc.port

    @property
    def rest_port(self) -> int | None:
        """Where REST and the page are; None for nowhere."""
        return None if self.http is None else self.http.port

    def begin(self) -> None:
        """All that was there at the start is loaded or refused."""
        self.rpc.health.start()

    def drain(self) -> None:
        """From now on health says that nothing serves."""
        self.rpc.health.drain()

    async def failed(self) -> None:
        """Never returns: it lives as long as this process."""
        await asyncio.Event().wait()

    async def stop(self, grace_s: float) -> None:
        """Refuses new requests, answers those that were accepted, and ends after the grace at the latest."""
        self.watching.cancel()
        others = [] if self.http is None else [self.http.stop(grace_s)]
        await asyncio.gather(self.rpc.stop(grace_s), *others)


async def listen(options: Options, table: Table, admin: Admin) -> Front:
    """Starts the servers. Their libraries are imported here, in a thread: that takes as long as models to load.

    Raises:
        CannotStart: An address cannot be had.
    """
    module = await asyncio.to_thread(import_module, f"{__package__}.rpc.server")
    rpc: RpcServer = module.RpcServer(table, admin, options.limits, options.transport, module.monotonic_ns)
    await rpc.start(join(options.host, options.port))
    log.info("listening on %s", join(options.host, rpc.port))
    try:
        http = await _listen_http(options, table, admin, lambda: rpc.health.serving)
        return Front(rpc, http, asyncio.ensure_future(keep_fresh(options.transport)))
    except BaseException:
        await rpc.stop(0)
        raise


async def _listen_http(options: Options, table: Table, admin: Admin, ready: Callable[[], bool]) -> "HttpServer | None":
    if options.rest_port is None:
        return None
    module = await asyncio.to_thread(import_module, f"{__package__}.http.server")
    http: HttpServer = module.HttpServer(
        table, options.limits, options.transport, time.monotonic_ns, options.rest_timeout_s, admin, ready
    )
    await http.start(options.host, options.rest_port)
    scheme = "http" if options.transport.tls is None else "https"
    log.info("listening on %s://%s/", scheme, join(options.host, http.port))
    return http
