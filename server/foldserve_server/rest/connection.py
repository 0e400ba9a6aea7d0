"""Connection of HTTP whose caller may end its own side before the answer."""

import asyncio
import struct
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

    __slots__ = ("_answered", "_half_closed", "_looks_s")

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keeps the connection while requests that arrived whole are not answered yet."""
        if self.transport is None or self.transport.get_extra_info("ssl_object") or self._is_idle() or self._is_cut():
            return None
        self._half_closed = True
        if self._current_request is not None:
            self._probe(self._current_request)
        return True

    def begin(self, request: web.BaseRequest) -> None:
        """Takes notice of a request that is being answered from now on; nothing of the response is written yet."""
        self._answered = False
        if not getattr(self, "_half_closed", False):
            return
        if self._is_cut():
            self.force_close()
        else:
            self._probe(request)

    def end(self) -> None:
        """Takes notice that the response of the latest request is written from now on."""
        self._answered = True

    def _is_idle(self) -> bool:
        """Tests whether the library waits for a request."""
        return not self._messages and self._waiter is not None

    def _is_cut(self) -> bool:
        """Tests whether the latest request will never arrive whole; False while that is not known."""
        if self._messages:
            return not self._messages[-1][1].is_eof()
        return self._current_request is not None and not self._current_request.content.is_eof()

    def _probe(self, request: web.BaseRequest) -> None:
        if not self._messages:
            self.close()  # behind this request, which is the last one
        transport = cast(asyncio.Transport, self.transport)
        if not getattr(self, "_answered", True) and request.version >= HttpVersion11:
            transport.write(CONTINUE)
            self._look_again(_FIRST_LOOK_S)

    def _look_again(self, delay_s: float) -> None:
        asyncio.get_running_loop().call_later(delay_s, self._look, delay_s)

    def _look(self, delay_s: float) -> None:
        """Ends the connection if it was reset: the loop does not watch a half-closed socket."""
        if self._answered or self.transport is None:
            return
        info = self.transport.get_extra_info("socket").getsockopt(IPPROTO_TCP, TCP_INFO, 1)
        if struct.unpack("B", info)[0] == _TCP_CLOSE:
            self.transport.abort()
        else:
            self._look_again(2 * delay_s)
