import asyncio
import errno
import logging
import socket

import pytest

from foldserve_server.rest import acceptor
from foldserve_server.rest.acceptor import Acceptor


class Echo(asyncio.Protocol):
    """Sends back what it receives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@pytest.mark.parametrize("number", [errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EMFILE])
async def test_no_error_of_the_network_ends_listening(
    number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor, "RETRY_S", 0.01)
    loop = asyncio.get_running_loop()
    accept, errors = loop.sock_accept, [OSError(number, "no")] * 3

    async def failing(sock: socket.socket) -> tuple[socket.socket, object]:
        if errors:
            raise errors.pop()
        return await accept(sock)

    monkeypatch.setattr(loop, "sock_accept", failing)
    listener = socket.create_server(("127.0.0.1", 0))
    accepting = Acceptor([listener], Echo, None, 1)
    accepting.start()
    try:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
        writer.close()
    finally:
        accepting.stop()
    assert not errors and {record.levelno for record in caplog.records} == {logging.ERROR}


async def test_two_sockets_share_one_line_a_second(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(sock: socket.socket) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_accept", failing)
    accepting = Acceptor([socket.create_server(("127.0.0.1", 0)) for _ in range(2)], Echo, None, 1)
    accepting.start()
    await asyncio.sleep(0.1)
    accepting.stop()
    assert caplog.text.count("no connection can be accepted: Too many open files") == 1
