"""Connection of HTTP whose caller may end its own side before the answer."""

import asyncio
from socket import IPPROTO_TCP, TCP_INFO
from typing import cast

from aiohttp import web
from aiohttp.http import HttpVersion11

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FIRST_LOOK_S = 0.05
_TCP_CLOSE = 7  # the state in `struct tcp_info` after a reset


class HttpConnection(web.RequestHandler):
    """The library's connection, which answers a caller that half-closed it.

    TCP does not tell a caller that has sent everything from one that is gone. So one interim response (100, which
    clients of HTTP/1.1 must be able to skip, RFC 9110 section 15.2) is sent to find out: a caller that is gone
    answers it with a reset. Over TLS a connection cannot be half-closed.
    """

    __slots__ = ("_computed", "_half_closed", "_taken")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._half_closed = False
        self._taken: web.BaseRequest | None = None
        self._computed: web.BaseRequest | None = None
        super().connection_made(transport)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keeps the connection while requests that arrived whole are not answered yet."""
        if self._messages and not self._messages[-1][1].is_eof():
            self._messages.pop()
        if self.transport is None or self.transport.get_extra_info("ssl_object") or self._is_idle():
            return None
        if self._computed is not None and not self._computed.content.is_eof():
            return None  # its body will never be whole
        self._half_closed = True
        self._close_behind_the_last()
        if self._taken is not None:
            self._taken.content.feed_eof()  # the rest of a body that nobody reads any more
        if self._computed is not None:
            self._probe(self._computed)
        return True

    def take(self, request: web.BaseRequest) -> None:
        """Takes notice of the request that is answered next."""
        self._taken = request
        if self._half_closed:
            self._close_behind_the_last()

    def begin(self, request: web.BaseRequest) -> None:
        """Takes notice of a request that is being computed from now on; nothing of the response is written yet.

        Raises:
            CancelledError: Its body will never be whole, and nobody is there to be told.
        """
        self.take(request)
        self._computed = request
        if not self._half_closed:
            return
        if not request.content.is_eof():
            self.force_close()
            raise asyncio.CancelledError
        self._probe(request)

    def end(self) -> None:
        """Takes notice that the response of the request is written from now on."""
        self._computed = None

    def _is_idle(self) -> bool:
        """Tests whether the library waits for a request, or for the first one."""
        return not self._messages and (self._waiter is not None or not self._request_count)

    def _close_behind_the_last(self) -> None:
        if not self._messages:
            self.close()

    def _probe(self, request: web.BaseRequest) -> None:
        """Sends the interim response; callers of HTTP/1.0 would take it for the response itself."""
        if request.version >= HttpVersion11:
            cast(asyncio.Transport, self.transport).write(CONTINUE)
            self._look_again(_FIRST_LOOK_S)

    def _look_again(self, delay_s: float) -> None:
        asyncio.get_running_loop().call_later(delay_s, self._look, delay_s)

    def _look(self, delay_s: float) -> None:
        """Ends the connection if it was reset: the loop does not watch a half-closed socket."""
        if self._computed is None or self.transport is None:
            return
        if self.transport.get_extra_info("socket").getsockopt(IPPROTO_TCP, TCP_INFO, 1)[0] == _TCP_CLOSE:
            self.transport.abort()
        else:
            self._look_again(2 * delay_s)
