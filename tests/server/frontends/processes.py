"""Processes of a server with several front ends, and channels to each of them."""

import itertools
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from tests.server.running import PATIENCE_S, Running

FRONT, ENGINE = "foldserve_server.frontends.front_end.front_end", "foldserve_engine"
_ESTABLISHED, _LISTENING = "01", "0A"


def children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:  # it ends just now
        return []


def descendants(pid: int) -> list[int]:
    return [item for child in children(pid) for item in (child, *descendants(child))]


def of_kind(server: Running, module: str) -> list[int]:
    """The children that run a module."""
    return [pid for pid in children(server.process.pid) if module in command(pid)]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # it ends just now
        return ""


def libraries(pid: int) -> str:
    """Everything that a process has mapped."""
    return Path(f"/proc/{pid}/maps").read_text()


def is_listening(pid: int, port: int) -> bool:
    return bool(_sockets(pid, port, _LISTENING))


def _sockets(pid: int, port: int, state: str) -> set[str]:
    """The inodes of a process's sockets on a local port."""
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    lines = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    there = {words[9] for words in lines if words[1].endswith(f":{port:04X}") and words[3] == state}
    folder = Path(f"/proc/{pid}/fd")
    mine = set()
    for descriptor in folder.iterdir():
        try:
            mine.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
        except OSError:
            continue
    return there & mine


@contextmanager
def channels(server: Running) -> Iterator[dict[int, grpc.Channel]]:
    """A channel to each front end, by its process."""
    results: dict[int, grpc.Channel] = {}
    spare: list[grpc.Channel] = []
    port = int(server.address.rpartition(":")[2])
    fronts = of_kind(server, FRONT)
    try:
        for number in itertools.count():
            before = {pid: _sockets(pid, port, _ESTABLISHED) for pid in fronts}
            item = grpc.insecure_channel(
                server.address, options=[("grpc.use_local_subchannel_pool", 1), ("foldserve.test", number)]
            )
            grpc.channel_ready_future(item).result(PATIENCE_S)
            front = next(pid for pid in fronts if _sockets(pid, port, _ESTABLISHED) - before[pid])
            if front in results:
                spare.append(item)
            else:
                results[front] = item
            if len(results) == len(fronts):
                break
        yield results
    finally:
        for channel in (*results.values(), *spare):
            channel.close()


def wait_for_end(pid: int) -> bool:
    """True if a process that is not a child has ended in time."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], PATIENCE_S)[0])
    finally:
        os.close(watched)


class Through(Running):
    """A server as it is seen through one channel."""

    def __init__(self, server: Running, channel: grpc.Channel) -> None:
        self.process, self.log, self.channel = server.process, server.log, channel
        self.address = server.address


def ask_all(server: Running, ask: Callable[[Running], Any]) -> list[Any]:
    """Answers of every front end."""
    with channels(server) as results:
        return [ask(Through(server, channel)) for channel in results.values()]
