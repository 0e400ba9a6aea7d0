"""The server's life: load, listen, serve, drain, end."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol, TypeVar

from .config.config_watch import ConfigWatch
from .config.options import ServerOptions
from .context.span import untraced
from .engines.launcher import Launcher
from .errors import CannotStart
from .listeners import listen
from .models.admin import Admin
from .models.query import ModelRef
from .models.routing_table import RoutingTable
from .models.servable import ServableState
from .repository.authorized_admin import AuthorizedAdmin
from .repository.config_reload import Reloader
from .repository.load_unload_api import LoadUnloadApi
from .repository.manager_context import ManagerContext
from .repository.managers import ModelManagers
from .repository.scanner import VersionScanner
from .repository.source import FolderSource
from .repository.watcher import Watcher
from .stats.metric_counters import MetricCounters
from .system.address import check_free, join
from .system.file_descriptors import print_line
from .system.garbage_collector import freeze_objects
from .tracing import Tracing, tracing_requested

log = logging.getLogger(__name__)
T = TypeVar("T")


class FrontEnds(Protocol):
    """Front ends: the gRPC and HTTP servers, in this process or in others."""

    @property
    def port(self) -> int:
        """The port of gRPC."""

    @property
    def rest_port(self) -> int | None:
        """The port of REST and the page; None where they are off."""

    def begin(self) -> None:
        """Reports health from now on: every model that was there at the start is loaded or refused."""

    def drain(self) -> None:
        """Has health report from now on that nothing serves."""

    async def stop(self, grace_s: float) -> None:
        """Refuses new requests, answers those that were accepted, and ends after the grace at the latest."""

    async def failed(self) -> None:
        """Never returns; raises FrontEndsFailed where they cannot go on."""


async def serve(options: ServerOptions, words: Sequence[str] = ()) -> None:
    """Serves until SIGTERM or SIGINT, then answers what was accepted; a second signal cuts that short.

    Args:
        options: How.
        words: The command line that says so, for front_ends ends in processes of their own.

    Raises:
        CannotStart: The repository is not there, or the port cannot be had.
        FrontEndsFailed: Front ends end again and again.
    """
    _check_repository(options)
    check_free(options.host, options.port)
    if options.rest_port is not None:
        check_free(options.host, options.rest_port, "--rest_api_port", "0 for none")
    stop = _signals()
    if options.front_ends > 1:
        from .frontends.supervisor.serve_with_front_ends import serve_with_front_ends

        await serve_with_front_ends(options, words, stop, run)
        return
    launcher, table, metric_counters = Launcher(options), RoutingTable(), MetricCounters()
    tracing = Tracing.from_environment() if tracing_requested() else None
    tracer = untraced if tracing is None else tracing.span
    try:
        await run(
            options,
            table,
            metric_counters,
            launcher,
            lambda admin: listen(options, table, admin, metric_counters, tracer),
            stop,
        )
    finally:
        if tracing is not None:
            await asyncio.to_thread(tracing.close)


async def run(
    options: ServerOptions,
    table: RoutingTable,
    metric_counters: MetricCounters,
    launcher: Launcher,
    start: Callable[[Admin], Coroutine[None, None, FrontEnds]],
    stop: asyncio.Event,
) -> None:
    """Loads the models, serves them by front ends that are started meanwhile, and ends at the stop event."""
    managers = ModelManagers(
        ManagerContext(
            table, launcher.start, metric_counters, options.grace_s, options.stop_first, launcher.memory_shortage
        )
    )
    scanner = VersionScanner(allow_unverified=options.engine.allow_unverified)
    watcher = Watcher(options.source, managers, scanner)
    reloader = Reloader(watcher, managers, options.reload_timeout_s)
    admin = AuthorizedAdmin(reloader, LoadUnloadApi(watcher, managers), options.roots)
    loading = asyncio.ensure_future(_load(watcher, managers))  # beside the import of gRPC: both take their time
    grace_left_s = 0.0
    try:
        front_ends = await _either(start(admin), stop)
        if front_ends is None:
            log.info("stopping before anybody was answered")
            return
        try:
            await _either(_serve(front_ends, table, watcher, loading, reloader, options), stop)
            grace_left_s = await _drain(front_ends, options, stop)
        finally:
            await front_ends.stop(0)
    finally:
        loading.cancel()
        await asyncio.gather(managers.close(grace_left_s), reloader.close(grace_left_s))


async def _serve(
    front_ends: FrontEnds,
    table: RoutingTable,
    watcher: Watcher,
    loading: "asyncio.Future[None]",
    reloader: Reloader,
    options: ServerOptions,
) -> None:
    await _unless_failed(front_ends, loading)
    freeze_objects()
    front_ends.begin()
    _say(ready_line(join(options.host, front_ends.port), table, options))
    if front_ends.rest_port is not None:
        scheme = "http" if options.transport.tls is None else "https"
        _say(f"REST and a page for people on {scheme}://{join(options.host, front_ends.rest_port)}/")
    await asyncio.gather(watcher.run(options.poll_s), _watch_config(reloader, options), front_ends.failed())


def _say(line: str) -> None:
    why_not = print_line(line)
    if why_not is not None:
        log.warning("stdout cannot be written to (%s); it would say: %s", why_not, line)


async def _unless_failed(front_ends: FrontEnds, loading: "asyncio.Future[None]") -> None:
    """Returns when all is loaded; raises what keeps the fronts from going on."""
    failing = asyncio.ensure_future(front_ends.failed())
    try:
        await asyncio.wait({failing, loading}, return_when=asyncio.FIRST_COMPLETED)
        if failing.done():
            failing.result()
        loading.result()
    finally:
        failing.cancel()


async def _watch_config(reloader: Reloader, options: ServerOptions) -> None:
    if options.config_file is not None and options.config_poll_s:
        from .config.tf_serving_files.model_server_config import read_models

        watch = ConfigWatch(options.config_file, read_models, reloader.reload)
        await watch.run(options.config_poll_s)


async def _load(watcher: Watcher, managers: ModelManagers) -> None:
    await watcher.look()
    await managers.settled()


async def _drain(front_ends: FrontEnds, options: ServerOptions, again: asyncio.Event) -> float:
    """Gives the seconds of the grace that are left."""
    again.clear()
    log.info("stopping: new work for %g s, accepted work for %g s more", options.drain_delay_s, options.grace_s)
    front_ends.drain()
    await _either(asyncio.sleep(options.drain_delay_s), again)
    now = asyncio.get_running_loop().time
    end = now() + options.grace_s
    await _either(front_ends.stop(options.grace_s), again)
    return 0.0 if again.is_set() else max(0.0, end - now())


async def _either(work: Coroutine[None, None, T], event: asyncio.Event) -> T | None:
    """Does the work until the event; gives what it gives, if it comes to its end, and raises what it raises."""
    if event.is_set():
        work.close()
        return None
    doing, waiting = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        waiting.cancel()
        doing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await doing


def _signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _check_repository(options: ServerOptions) -> None:
    if not isinstance(options.source, FolderSource):
        return
    path = options.source.path
    try:
        if not path.is_dir():
            raise CannotStart(f"{path} is not a directory; give the folder that holds NAME/VERSION/bundle.json")
    except OSError as error:
        raise CannotStart(f"{path} cannot be read: {error.strerror}") from error


def ready_line(address: str, table: RoutingTable, options: ServerOptions) -> str:
    """Start message: the address, the models that are served, and those that were refused."""
    servables = [servable for name in table.names() for servable in table.status(ModelRef(name))]
    serving = [
        f"{servable} ({servable.engine.info.summary})"
        for servable in servables
        if servable.state is ServableState.AVAILABLE
    ]
    refused = [str(servable) for servable in servables if servable.failed]
    served = ", ".join(serving) or f"nothing yet; watching {options.source} for bundles"
    return f"serving on {address}: {served}" + (f"; refused: {', '.join(refused)}" if refused else "")
