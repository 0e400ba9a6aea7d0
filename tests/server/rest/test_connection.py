"""Connections of callers that end their side, hold their body back, or come when no descriptor is left."""

import asyncio
import errno
import json
import logging
import resource
import socket
import struct
import time

import pytest

from foldserve_server.config.transport_options import TransportOptions
from foldserve_server.predict.request_options import RequestOptions
from foldserve_server.rest import acceptor
from tests.server.fakes import FakeEngine, serving

from .calls import MAX_BYTES, Caller, listening

BODY = json.dumps({"instances": [[1, 2]]}).encode()
NOWHERE = b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"
ANSWER = {"predictions": [[2.0, 4.0]]}


def post(body: bytes = BODY, *headers: bytes, version: bytes = b"1.1", size: int | None = None) -> bytes:
    lines = [
        b"POST /v1/models/m:predict HTTP/" + version,
        b"Host: x",
        b"Content-Length: %d" % (size or len(body)),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def half_closed(caller: Caller, content: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which all was sent that ever will be."""
    reader, writer = await asyncio.open_connection("127.0.0.1", caller.http.port)
    writer.write(content)
    writer.write_eof()
    return reader, writer


def answers(received: bytes) -> list[object]:
    """The JSON of every response, interim ones left out."""
    parts = received.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").split(b"HTTP/1.")[1:]
    return [json.loads(part.partition(b"\r\n\r\n")[2]) for part in parts]


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_caller_that_half_closes_its_connection_is_answered(version: bytes) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with listening(serving(engine)) as caller:
        reader, writer = await half_closed(caller, post(version=version))
        await engine.entered.wait()
        await asyncio.sleep(0.2)  # longer than the first look for a reset
        engine.gate.set()
        received = await asyncio.wait_for(reader.read(), 5)  # to the end: nothing keeps the connection
        assert answers(received) == [ANSWER] and engine.left == 0
        assert (b"100 Continue" in received) == (version == b"1.1")
        writer.close()


async def test_every_request_before_the_end_is_answered() -> None:
    async with listening(serving(FakeEngine())) as caller:
        reader, writer = await half_closed(caller, post() + post() + post())
        assert answers(await asyncio.wait_for(reader.read(), 5)) == [ANSWER] * 3
        writer.close()


async def test_a_request_that_is_cut_off_ends_its_connection() -> None:
    engine = FakeEngine()
    async with listening(serving(engine)) as caller:
        reader, writer = await half_closed(caller, post(size=1000))
        assert await asyncio.wait_for(reader.read(), 5) == b"" and not engine.asked
        writer.close()


async def test_an_upload_that_is_cut_off_at_once_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """The end arrives with the beginning, before the library has made a request of it."""
    engine = FakeEngine()
    async with listening(serving(engine)) as caller:
        for content in (post(size=1000), post(b"", size=1000)):
            for _ in range(20):
                reader, writer = await half_closed(caller, content)
                assert await asyncio.wait_for(reader.read(), 5) == b""
                writer.close()
        assert not engine.asked and not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_whole_requests_before_one_that_is_cut_off_are_answered() -> None:
    async with listening(serving(FakeEngine())) as caller:
        for cut in (post(size=1000), post()[:40]):
            reader, writer = await half_closed(caller, post() + post() + cut)
            assert answers(await asyncio.wait_for(reader.read(), 5)) == [ANSWER] * 2
            writer.close()


@pytest.mark.parametrize("trailing", [b"", b"POST /v1/mod"])
async def test_a_connection_that_is_half_closed_while_its_answer_is_written_ends_with_the_answer(
    trailing: bytes,
) -> None:
    async with listening(serving(FakeEngine()), RequestOptions(split_large=True)) as caller:
        loop, sock = asyncio.get_running_loop(), socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", caller.http.port))
        sock.setblocking(False)
        while not (connections := list(caller.http._connections())):
            await asyncio.sleep(0.01)
        transport = connections[0].transport
        assert isinstance(transport, asyncio.Transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await loop.sock_sendall(sock, post(json.dumps({"instances": [[1, 2]] * 4000}).encode()) + trailing)
        received = await loop.sock_recv(sock, 100)
        while not transport.get_write_buffer_size():  # the answer is more than the sockets hold
            await asyncio.sleep(0.01)
        sock.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(10):
            while chunk := await loop.sock_recv(sock, 1000):
                received += chunk
        assert received.endswith(b"}") and not caller.http._connections()
        sock.close()


@pytest.mark.parametrize(
    "head", [post(b"", b"Expect: x", size=5), b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"]
)
async def test_a_refused_upload_ends_with_its_caller(head: bytes) -> None:
    async with listening(serving(FakeEngine())) as caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", caller.http.port)
        writer.write(head)
        assert (await reader.readline()).startswith(b"HTTP/1.1 4")
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 3)  # to the end, long before the library's ten seconds
        writer.close()


async def test_an_idle_connection_ends_with_its_caller() -> None:
    async with listening(serving(FakeEngine())) as caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", caller.http.port)
        writer.write(post())
        await reader.readuntil(b"]]}")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_caller_that_is_gone_is_noticed_though_it_said_no_more_than_one_that_half_closes() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with listening(serving(engine)) as caller:
        _, writer = await asyncio.open_connection("127.0.0.1", caller.http.port)
        writer.write(post())
        await engine.entered.wait()
        writer.close()
        async with asyncio.timeout(5):
            while not engine.left:
                await asyncio.sleep(0.01)
        engine.gate.set()


async def test_a_body_is_invited_only_where_it_will_be_read() -> None:
    async with listening(serving(FakeEngine())) as caller:
        expect = b"Expect: 100-continue"
        reader, writer = await asyncio.open_connection("127.0.0.1", caller.http.port)
        writer.write(post(b"", expect, size=len(BODY)))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert answers(await reader.readuntil(b"]]}")) == [ANSWER]
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", caller.http.port)
        writer.write(post(b"", expect, size=MAX_BYTES + 1))
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 413 ")
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", caller.http.port)
        writer.write(post(b"", b"Expect: a-sandwich", size=len(BODY)))
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 417 ")
        writer.close()
        for line, status in ((b"POST /nope", b"404"), (b"DELETE /v2/health/live", b"405")):
            reader, writer = await asyncio.open_connection("127.0.0.1", caller.http.port)
            writer.write(line + b" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
            received = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert received.startswith(b"HTTP/1.1 " + status) and b"Connection: close" in received
            writer.close()


async def test_while_descriptors_are_lacking_a_line_a_second_is_logged_and_nothing_spins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening(serving(FakeEngine())) as caller:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        callers = [socket.socket() for _ in range(40)]
        probe = socket.socket()
        highest = probe.fileno()
        probe.close()
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 3, hard))
            for sock in callers:
                sock.setblocking(False)
                assert sock.connect_ex(("127.0.0.1", caller.http.port)) in (0, errno.EINPROGRESS)
            begun, used = time.monotonic(), time.process_time()
            await asyncio.sleep(2.5 * acceptor.RETRY_S)
            took, used = time.monotonic() - begun, time.process_time() - used
            lines = [record for record in caplog.records if "no connection can be accepted" in record.getMessage()]
            assert 1 <= len(lines) <= 1 + took / acceptor.RETRY_S
            assert not [record for record in caplog.records if record.name == "asyncio"]
            assert used < took / 2, "it spins"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await asyncio.sleep(1.2 * acceptor.RETRY_S)
        for sock in callers:
            sock.setblocking(True)
            sock.settimeout(5)
        loop = asyncio.get_running_loop()
        callers[-1].setblocking(False)
        await loop.sock_sendall(callers[-1], post())
        assert (await asyncio.wait_for(loop.sock_recv(callers[-1], 100), 5)).startswith(b"HTTP/1.1 200 ")
        for sock in callers:
            sock.close()


async def test_a_caller_that_leaves_before_it_is_accepted_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(serving(FakeEngine())) as caller:
        for _ in range(20):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            sock.connect(("127.0.0.1", caller.http.port))
            sock.close()
        assert (await caller.post("/v1/models/m:predict", {"instances": [[1, 2]]}))[1] == ANSWER
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("host", ["::", "0.0.0.0", "localhost"])
async def test_rest_answers_on_every_address_of_the_host(host: str) -> None:
    table = serving(FakeEngine())
    async with listening(table, transport=TransportOptions(), host=host) as caller:
        for address in ("127.0.0.1", *(("::1",) if host == "::" else ())):
            reader, writer = await asyncio.open_connection(address, caller.http.port)
            writer.write(post())
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 "), address
            writer.close()
