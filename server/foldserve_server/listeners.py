"""The listeners: gRPC on one port, REST and the page on another; their certificates and tokens are kept up to date."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from .config.options import ServerOptions
from .config.transport_options import TransportOptions
from .context.span import Tracer, untraced
from .errors import CannotStart
from .models.admin import Admin
from .models.routing_table import RoutingTable
from .security.tls import LiveTls
from .security.tokens import read_tokens
from .stats.metric_counters import MetricCounters
from .system.address import join
from .system.file_watch import FileWatch

if TYPE_CHECKING:
    from .rest.server import HttpServer
    from .rpc.server import RpcServer

log = logging.getLogger(__name__)
CREDENTIALS_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class Listeners:
    """The servers, and the task that keeps their certificates and tokens up to date; `http` is None where it is off."""

    rpc: "RpcServer"
    http: "HttpServer | None"
    credentials_watch: "asyncio.Future[None]"

    @property
    def port(self) -> int:
        """The port of gRPC."""
        return self.rpc.port

    @property
    def rest_port(self) -> int | None:
        """The port of REST and the page; None where they are off."""
        return None if self.http is None else self.http.port

    def begin(self) -> None:
        """Reports the server as serving: every model that was present at the start is loaded or refused."""
        self.rpc.health.start()

    def drain(self) -> None:
        """Reports through health checks that nothing serves any more."""
        self.rpc.health.drain()

    async def failed(self) -> None:
        """Waits for a failure, and so never returns: these listeners live as long as this process."""
        await asyncio.Event().wait()

    async def stop(self, grace_s: float) -> None:
        """Refuses new requests, answers those that were accepted, and returns after `grace_s` at the latest."""
        self.credentials_watch.cancel()
        others = [] if self.http is None else [self.http.stop(grace_s)]
        await asyncio.gather(self.rpc.stop(grace_s), *others)


async def listen(
    options: ServerOptions,
    table: RoutingTable,
    admin: Admin,
    metric_counters: MetricCounters,
    tracer: Tracer = untraced,
) -> Listeners:
    """Starts the servers. Their libraries are imported here, in a thread: that takes as long as models to load.

    Raises:
        CannotStart: An address is not available.
    """
    module = await asyncio.to_thread(import_module, f"{__package__}.rpc.server")
    rpc: RpcServer = module.RpcServer(
        table,
        admin,
        limits=options.limits,
        transport=options.transport,
        metric_counters=metric_counters,
        tracer=tracer,
        clock=module.monotonic_ns,
    )
    await rpc.start(join(options.host, options.port))
    log.info("listening on %s", join(options.host, rpc.port))
    try:
        http = await _listen_http(options, table, admin, metric_counters, tracer, lambda: rpc.health.serving)
        return Listeners(rpc, http, asyncio.ensure_future(watch_credentials(options.transport)))
    except BaseException:
        await rpc.stop(0)
        raise


async def _listen_http(
    options: ServerOptions,
    table: RoutingTable,
    admin: Admin,
    metric_counters: MetricCounters,
    tracer: Tracer,
    ready: Callable[[], bool],
) -> "HttpServer | None":
    if options.rest_port is None:
        return None
    module = await asyncio.to_thread(import_module, f"{__package__}.rest.server")
    http: HttpServer = module.HttpServer(
        table,
        admin,
        limits=options.limits,
        transport=options.transport,
        metric_counters=metric_counters,
        tracer=tracer,
        clock=time.monotonic_ns,
        timeout_s=options.rest_timeout_s,
        ready=ready,
    )
    await http.start(options.host, options.rest_port)
    scheme = "http" if options.transport.tls is None else "https"
    log.info("listening on %s://%s/", scheme, join(options.host, http.port))
    return http


async def watch_credentials(
    transport: TransportOptions,
    interval_s: float = CREDENTIALS_INTERVAL_S,
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Checks the files of certificates and tokens after every interval, until it is cancelled."""
    await asyncio.gather(*(watch.run(interval_s, wait) for watch in credential_watches(transport)))


def credential_watches(transport: TransportOptions) -> list[FileWatch]:
    """The watches of the files that are configured; the first check applies a file, as it may have changed since."""
    watches = []
    if transport.tls_file is not None and transport.tls is not None:
        watches.append(FileWatch(transport.tls_file, _tls_reader(transport.tls_file, transport.tls), applied=False))
    if transport.tokens_file is not None and transport.access is not None:
        watches.append(FileWatch(transport.tokens_file, _tokens_reader(transport), applied=False))
    return watches


def _tls_reader(path: Path, tls: LiveTls) -> Callable[[], Awaitable[None]]:
    # protocol buffers are slow to import: only where they are needed
    from .config.tf_serving_files.ssl_config import read_tls

    async def apply() -> None:
        try:
            changed = tls.replace_with(await asyncio.to_thread(read_tls, path))
        except ValueError as error:
            raise CannotStart(str(error)) from error
        if changed:
            log.info("%s: new connections are encrypted with what it says now", path)

    return apply


def _tokens_reader(transport: TransportOptions) -> Callable[[], Awaitable[None]]:
    async def apply() -> None:
        assert transport.tokens_file is not None and transport.access is not None
        tokens = await asyncio.to_thread(read_tokens, transport.tokens_file)
        if transport.access.replace_with(tokens):
            log.info("%s: these tokens are known now: %s", transport.tokens_file, ", ".join(tokens.holders))

    return apply
