"""The engine process: `python -P -m foldserve_engine --control N`.

It is started with one end of a socket pair, loads what the first packet says, and computes until the other end is
closed or its parent dies. It imports no gRPC.
"""

import argparse
import faulthandler
import logging
import os
import re
import select
import signal
import sys
import time
from collections.abc import Sequence
from socket import socket

from foldserve_contract.errors import FoldserveError

from ..errors import EngineLost, RuntimeMissing
from ..link.channel import Channel, Closed, Packet
from ..link.handshake import EngineHello, EngineReady, StartFailed, dump, parse
from ..link.packets import Credits, PacketKind
from ..link.shared_memory import SharedMemory
from ..link.shared_status import SharedStatus
from ..load import load_engine
from . import process_limits
from .batch_queue import BatchQueue
from .batch_worker import Worker
from .front_end_links import FrontEndLinks
from .loading_priority import LoadingPriority
from .startup import Loader, start
from .startup_stages import StageTimer, StartedEngine

_log = logging.getLogger("foldserve_engine")
_MAX_REASON = 4 << 10
_NO_MEMORY = re.compile(r"memory|alloc", re.IGNORECASE)


def main(way: LoadingPriority, arguments: Sequence[str] | None = None, load: Loader = load_engine) -> int:
    """Runs an engine process, which gives way until it serves, to its end; its exit status."""
    faulthandler.enable()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets on stderr otherwise
    for number in (signal.SIGINT, signal.SIGTERM):  # a service manager may send it to all; the supervisor decides
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    parser = argparse.ArgumentParser(prog="foldserve_engine", description="started by a foldserve server")
    parser.add_argument("--control", type=int, required=True, help="descriptor of the control socket")
    channel = _channel(parser.parse_args(arguments).control)
    try:
        return _run(channel, load, way)
    except Closed:
        return 0


def _run(channel: Channel, load: Loader, way: LoadingPriority) -> int:
    packet = _wait(channel)
    hello = parse(EngineHello, bytes(packet.payload))
    process_limits.die_with_parent(hello.parent)
    status = SharedStatus.attach(packet.descriptors[0])
    if hello.spec.memory_limit_bytes is not None and not hello.spec.on_gpu:
        process_limits.limit_memory(hello.spec.memory_limit_bytes)
    with process_limits.first_to_go(), way:
        if not hello.spec.load_on_one_core:
            way.take_all_cores()
        started = _start(hello, load, way.cores)
    if hello.spec.background:
        process_limits.give_way()
    if isinstance(started, StartFailed):
        _say(channel, PacketKind.FAILED, dump(started))
        return 1
    _say_ready(channel, started.ready)
    queue = BatchQueue(
        started.ready.max_batch_size,
        started.ready.sizes,
        1000 * hello.spec.batch_timeout_micros,
        started.ready.exact_rows,
        together=hello.spec.together,
    )
    status.expect(sorted({*started.ready.sizes, *((started.ready.exact_rows,) if hello.spec.deterministic else ())}))
    credits = Credits(started.ready.credit_rows, started.ready.credit_bytes)
    links = FrontEndLinks(channel, started.engine.signature, credits, hello.spec.front_ends)
    try:
        Worker(links, started.engine, queue, status).serve()
    except EngineLost:
        return 1
    return 0


def _start(hello: EngineHello, load: Loader, cores: int) -> StartedEngine | StartFailed:
    """The engine, or why it must not serve."""
    try:
        return start(hello, load, cores, StageTimer({"interpreter": time.process_time()}))
    except (FoldserveError, ValueError, OSError) as error:  # the supervisor tells of it
        return _failed(error, f"{error}{_hint(hello, error)}")
    except Exception as error:
        _log.exception("the engine was not put into service")
        words = f"{type(error).__name__}: {error}".removesuffix(": ")
        return _failed(error, f"{words}{_hint(hello, error)}")


def _failed(error: Exception, reason: str) -> StartFailed:
    return StartFailed(type(error).__name__, reason[:_MAX_REASON])


def _hint(hello: EngineHello, error: Exception) -> str:
    """A word on the memory limit, where there is one and the error looks like it."""
    limit = hello.spec.memory_limit_bytes
    like_it = isinstance(error, MemoryError | RuntimeMissing) or _NO_MEMORY.search(str(error))
    if limit is None or not like_it:
        return ""
    return f"; its memory limit is {limit:,} bytes (--engine-memory-limit)"


def _say_ready(channel: Channel, ready: EngineReady) -> None:
    document = dump(ready)
    memory = SharedMemory.create(len(document), "ready")
    memory.map[:] = document
    _say(channel, PacketKind.READY, b"", [memory.descriptor])


def _channel(descriptor: int) -> Channel:
    """The control socket, under a small number: select(2) takes none above 1023."""
    low = os.dup(descriptor)
    os.close(descriptor)
    return Channel(socket(fileno=low))


def _wait(channel: Channel) -> Packet:
    while (packet := channel.receive()) is None:
        select.select([channel], [], [])
    return packet


def _say(channel: Channel, kind: PacketKind, content: bytes, descriptors: Sequence[int] = ()) -> None:
    channel.put(kind, content, descriptors)
    while not channel.flush():
        select.select([], [channel], [])


def run(load: Loader = load_engine, way: LoadingPriority | None = None) -> None:
    """Runs an engine process and ends it without the teardown of native libraries, which may hang or crash.

    Args:
        load: Makes the engine.
        way: How it gives way already; else it does from here on.
    """
    status = 1
    try:
        status = main(LoadingPriority() if way is None else way, load=load)
    except BaseException:
        _log.exception("the engine process failed")
    finally:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)
