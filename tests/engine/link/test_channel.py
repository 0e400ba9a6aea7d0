import os
import resource
from collections.abc import Iterator

import pytest

from foldserve_engine.link.channel import MAX_DESCRIPTORS, MAX_PACKET, Channel, Closed, Cut, pair
from foldserve_engine.link.packets import PacketKind
from foldserve_engine.link.shared_memory import SharedMemory


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = (Channel(end) for end in pair())
    yield ours, theirs
    ours.close()
    theirs.close()


def received(channel: Channel) -> list[tuple[PacketKind, bytes]]:
    packets = []
    while (packet := channel.receive()) is not None:
        packets.append((packet.kind, bytes(packet.payload)))
        for descriptor in packet.descriptors:
            os.close(descriptor)
    return packets


def test_records_of_one_kind_share_a_packet(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    for record in (b"one", b"two"):
        ours.put(PacketKind.WORK, record)
    ours.put(PacketKind.RESULTS, b"three")
    assert ours.flush()
    assert received(theirs) == [(PacketKind.WORK, b"onetwo"), (PacketKind.RESULTS, b"three")]


def test_a_packet_is_never_larger_than_the_receiver_takes(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    record = bytes(1000)
    for _ in range(100):
        ours.put(PacketKind.WORK, record)
    assert ours.flush()
    sizes = [len(content) for _, content in received(theirs)]
    assert sum(sizes) == 100_000
    assert max(sizes) <= MAX_PACKET


def test_nobody_ever_waits_for_the_other_side(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    sent = 0
    while True:
        ours.put(PacketKind.WORK, sent.to_bytes(4, "little") * 1000)
        sent += 1
        if not ours.flush():
            break
    assert ours.unsent
    got = b""
    while ours.unsent:
        got += b"".join(content for _, content in received(theirs))
        ours.flush()
    got += b"".join(content for _, content in received(theirs))
    assert got == b"".join(number.to_bytes(4, "little") * 1000 for number in range(sent))


def test_memory_crosses_with_its_record(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    memory = SharedMemory.create(8, "test")
    memory.map[:] = b"contents"
    ours.put(PacketKind.WORK, b"record", [memory.descriptor])
    assert ours.flush()
    packet = theirs.receive()
    assert packet is not None
    other = SharedMemory.attach(packet.descriptors[0])
    assert bytes(other.map[:]) == b"contents"
    other.map[:] = b"answered"
    assert memory.map[:] == b"answered"
    other.close()


def test_more_descriptors_than_a_packet_takes_go_into_several(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    for _ in range(MAX_DESCRIPTORS + 3):
        ours.put(PacketKind.WORK, b".", [os.open(os.devnull, os.O_RDONLY)])
    assert ours.flush()
    assert [len(content) for _, content in received(theirs)] == [MAX_DESCRIPTORS, 3]


def test_a_descriptor_is_no_longer_the_senders_once_it_is_sent(ends: tuple[Channel, Channel]) -> None:
    ours, _ = ends
    descriptor = os.open(os.devnull, os.O_RDONLY)
    ours.put(PacketKind.WORK, b".", [descriptor])
    assert ours.flush()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)


def test_what_was_sent_before_the_end_is_received(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.put(PacketKind.WORK, b"last words")
    ours.flush()
    ours.close()
    packet = theirs.receive()
    assert packet is not None
    assert bytes(packet.payload) == b"last words"
    with pytest.raises(Closed):
        theirs.receive()


def test_sending_to_nobody_is_told(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    theirs.close()
    ours.put(PacketKind.WORK, b".")
    with pytest.raises(Closed):
        ours.flush()


def test_memory_for_which_there_is_no_descriptor_left_is_told(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.put(PacketKind.WORK, b".", [SharedMemory.create(1, "test").descriptor])
    assert ours.flush()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        with pytest.raises(Cut, match="no descriptor is left"):
            theirs.receive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
