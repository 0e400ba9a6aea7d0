import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from foldserve_engine.link.channel import pair
from foldserve_server.fronts.documents import (
    Adopted,
    Answered,
    Asked,
    Drain,
    Listening,
    ModelEntry,
    Table,
    VersionEntry,
)
from foldserve_server.fronts.post import Post, close_all


def run(test: Any) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(limited())


class Ends:
    """Both ends of a post, and what has come to the second."""

    def __init__(self) -> None:
        one, other = pair()
        self.came: asyncio.Queue[tuple[Any, Sequence[int]]] = asyncio.Queue()
        self.over = asyncio.Event()
        self.one = Post(one, lambda document, descriptors: None, lambda: None)
        self.other = Post(other, lambda *what: self.came.put_nowait(what), self.over.set)

    def close(self) -> None:
        self.one.close()
        self.other.close()


def table(reason: str) -> Table:
    version = VersionEntry(7, 1, 50, True, "GoldenMismatch", reason, None, 3)
    return Table(4, True, (ModelEntry("m", (version,), {"stable": 1}, True),), ())


def test_documents_come_as_they_were_sent_and_in_order() -> None:
    async def test() -> None:
        ends = Ends()
        sent = [
            Adopted(1),
            Drain(),
            table("é" * 10),
            Listening(None),
            Asked(1, "reload", "{}", "x", None, True),
            Answered(1, reasons={"a": "b"}),
        ]
        for document in sent:
            ends.one.send(document)
        assert [(await ends.came.get())[0] for _ in sent] == sent
        ends.close()

    run(test)


def test_what_is_larger_than_a_packet_comes_too_and_descriptors_with_their_document() -> None:
    async def test() -> None:
        ends = Ends()
        large = table("x" * 1_000_000)
        reader, writer = os.pipe()
        before = len(list(Path("/proc/self/fd").iterdir()))
        ends.one.send(large, [reader, writer])
        ends.one.send(Adopted(2))
        came, (reader, writer) = await ends.came.get()
        assert came == large
        os.write(writer, b"hello")
        assert os.read(reader, 5) == b"hello"
        close_all([reader, writer])
        assert await ends.came.get() == (Adopted(2), [])
        assert len(list(Path("/proc/self/fd").iterdir())) == before - 2
        ends.close()

    run(test)


def test_the_end_of_one_is_told_to_the_other_after_what_it_said() -> None:
    async def test() -> None:
        ends = Ends()
        ends.one.send(Adopted(9))
        ends.one.close()
        await ends.over.wait()
        assert (await ends.came.get())[0] == Adopted(9)
        reader, writer = os.pipe()
        ends.one.send(Drain(), [reader, writer])
        for descriptor in (reader, writer):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(descriptor)
        ends.close()

    run(test)
