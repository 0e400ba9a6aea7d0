import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from foldserve_engine.link.channel import Channel, Closed, Packet, pair
from foldserve_engine.link.handshake import EngineHello, EngineReady, dump, parse
from foldserve_engine.link.packets import PacketKind
from foldserve_engine.link.shared_memory import SharedMemory
from foldserve_engine.link.shared_status import SharedStatus
from foldserve_engine.spec import EngineSpec
from tests.bundles import make_bundle

COMMAND = (sys.executable, "-P", "-m", "foldserve_engine", "--control")
PATIENCE_S = 60


def hello(path: Path, parent: int | None = None, *, load_on_one_core: bool = True) -> bytes:
    parent = os.getpid() if parent is None else parent
    spec = EngineSpec(
        threads=2, max_batch_size=4, max_queue_rows=64, max_queue_bytes=1 << 20, load_on_one_core=load_on_one_core
    )
    return dump(EngineHello(str(path), parent, spec))


class Front:
    """A front end that only talks."""

    def __init__(self, process: "subprocess.Popen[bytes]", channel: Channel) -> None:
        self.process = process
        self.channel = channel

    def greet(self, content: bytes) -> None:
        status = SharedStatus.create(8)
        self.channel.put(PacketKind.HELLO, content, [status.memory.descriptor])
        self.channel.flush()

    def hear(self) -> Packet:
        while (packet := self.channel.receive()) is None:
            select.select([self.channel], [], [], PATIENCE_S)
        return packet

    def ready(self) -> EngineReady:
        packet = self.hear()
        assert packet.kind is PacketKind.READY, bytes(packet.payload)
        memory = SharedMemory.attach(packet.descriptors[0])
        memory.close()
        return parse(EngineReady, memory.map[:])


@contextmanager
def front() -> Iterator[Front]:
    ours, theirs = pair()
    with theirs:
        process = subprocess.Popen(
            [*COMMAND, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    channel = Channel(ours)
    try:
        yield Front(process, channel)
    finally:
        channel.close()
        process.kill()
        process.communicate()


def test_it_ends_when_the_front_end_closes_the_socket(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    with front() as item:
        item.greet(hello(path))
        item.ready()
        item.channel.close()
        assert item.process.wait(PATIENCE_S) == 0


def test_it_ends_when_nobody_ever_greets_it() -> None:
    with front() as item:
        item.channel.close()
        assert item.process.wait(PATIENCE_S) == 0


def test_it_ends_when_its_parent_is_not_who_greets_it(tmp_path: Path) -> None:
    with front() as item:
        item.greet(hello(tmp_path, parent=1))
        assert item.process.wait(PATIENCE_S) == 1


def test_a_refused_bundle_is_told_to_the_supervisor_who_logs_it(tmp_path: Path) -> None:
    with front() as item:
        item.greet(hello(tmp_path))
        packet = item.hear()
        assert packet.kind is PacketKind.FAILED
        assert "is not a bundle" in bytes(packet.payload).decode()
        assert item.process.wait(PATIENCE_S) == 1
        with pytest.raises(Closed):
            item.hear()
        assert item.process.stderr is not None
        assert item.process.stderr.read() == b"", "the reason would be in the log twice"


def test_once_it_serves_it_has_every_core_and_is_not_the_first_to_go(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    with front() as item:
        item.greet(hello(path))
        item.ready()
        process = Path(f"/proc/{item.process.pid}")
        for thread in (process / "task").iterdir():
            assert os.sched_getaffinity(int(thread.name)) == os.sched_getaffinity(0)
        assert (process / "oom_score_adj").read_text() == Path("/proc/self/oom_score_adj").read_text()


def test_signals_meant_for_the_front_end_do_not_end_it(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    with front() as item:
        item.greet(hello(path))
        item.ready()
        for number in (signal.SIGINT, signal.SIGTERM):
            item.process.send_signal(number)
        item.channel.put(PacketKind.HELLO, b"out of place")  # which ends it, after the signals
        item.channel.flush()
        assert item.process.wait(PATIENCE_S) == 0


def test_it_is_killed_with_its_parent(tmp_path: Path) -> None:
    """A parent whose control socket is still open elsewhere: only the kernel's signal tells the engine."""
    path = make_bundle(tmp_path)
    ours, theirs = pair()
    script = f"""
import json, os, subprocess, sys
child = subprocess.Popen([*{COMMAND!r}, sys.argv[1]], pass_fds=(int(sys.argv[1]),), stderr=subprocess.DEVNULL)
print(json.dumps([child.pid, os.getpid()]), flush=True)
sys.stdin.read()
"""
    with theirs:
        parent = subprocess.Popen(
            [sys.executable, "-c", script, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    assert parent.stdout and parent.stdin
    engine, pid = json.loads(parent.stdout.readline())
    item = Front(parent, Channel(ours))
    item.greet(hello(path, parent=pid))
    item.ready()
    watched = os.pidfd_open(engine)
    parent.kill()
    parent.communicate()
    assert select.select([watched], [], [], PATIENCE_S)[0]
    os.close(watched)
    item.channel.close()
