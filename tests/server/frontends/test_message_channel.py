import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from foldserve_engine.link.channel import pair
from foldserve_server.context.rights import Rights
from foldserve_server.frontends.admin_messages import AdminReply, AdminRequest, ReloadRequest
from foldserve_server.frontends.message_channel import MessageChannel, close_all
from foldserve_server.frontends.messages import (
    Drain,
    Listening,
    ModelEntry,
    TableAck,
    TableSnapshot,
    VersionEntry,
)
from foldserve_server.models.model_config import ModelConfig, Specific


class Ends:
    """Both ends of a message channel, and the messages that the second received."""

    def __init__(self) -> None:
        item, other = pair()
        self.came: asyncio.Queue[tuple[Any, Sequence[int]]] = asyncio.Queue()
        self.over = asyncio.Event()
        self.one = MessageChannel(item, lambda document, descriptors: None, lambda: None)
        self.other = MessageChannel(other, lambda *what: self.came.put_nowait(what), self.over.set)

    def close(self) -> None:
        self.one.close()
        self.other.close()


def table(reason: str) -> TableSnapshot:
    version = VersionEntry(7, 1, 50, True, "GoldenMismatch", reason, None, 3)
    return TableSnapshot(4, True, (ModelEntry("m", (version,), {"stable": 1}, True),), ())


async def test_documents_come_as_they_were_sent_and_in_order() -> None:
    ends = Ends()
    sent = [
        TableAck(1),
        Drain(),
        table("é" * 10),
        Listening(None),
        AdminRequest(
            1,
            ReloadRequest((ModelConfig("m", Path("/m"), Specific(frozenset({2}))),), "x"),
            Rights("x", None, True),
        ),
        AdminReply(1, reasons={"a": "b"}),
    ]
    for document in sent:
        ends.one.send(document)
    assert [(await ends.came.get())[0] for _ in sent] == sent
    ends.close()


async def test_what_is_larger_than_a_packet_comes_too_and_descriptors_with_their_document() -> None:
    ends = Ends()
    large = table("x" * 1_000_000)
    reader, writer = os.pipe()
    before = len(list(Path("/proc/self/fd").iterdir()))
    ends.one.send(large, [reader, writer])
    ends.one.send(TableAck(2))
    came, (reader, writer) = await ends.came.get()
    assert came == large
    os.write(writer, b"hello")
    assert os.read(reader, 5) == b"hello"
    close_all([reader, writer])
    assert await ends.came.get() == (TableAck(2), [])
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 2
    ends.close()


async def test_the_end_of_one_is_told_to_the_other_after_what_it_said() -> None:
    ends = Ends()
    ends.one.send(TableAck(9))
    ends.one.close()
    await ends.over.wait()
    assert (await ends.came.get())[0] == TableAck(9)
    reader, writer = os.pipe()
    ends.one.send(Drain(), [reader, writer])
    for descriptor in (reader, writer):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    ends.close()
