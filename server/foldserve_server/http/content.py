"""The body of a request."""

from contextvars import ContextVar

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from ..core.door import Visit
from ..core.errors import InvalidRequest
from .status import BodyTooLarge

_visit: ContextVar[Visit] = ContextVar("visit")


def enter(visit: Visit) -> None:
    """From here on, this task answers the request of this visit."""
    _visit.set(visit)


async def content_of(request: web.Request) -> bytes:
    """All of it, unpacked where it was compressed.

    Raises:
        BodyTooLarge: It is larger than any may be.
        InvalidRequest: It is not packed as its headers say, or ends too early.
        QueueFull: It turned out larger than its headers say, and there is no room for it beside the others.
    """
    try:
        known = request.content_length is not None and "Content-Encoding" not in request.headers
        return await request.read() if known else await _weighed(request)
    except web.HTTPRequestEntityTooLarge as error:
        raise BodyTooLarge(error.text or error.reason) from None
    except RequestPayloadError as error:
        raise InvalidRequest(f"the body cannot be read: {' '.join(str(error).split())}") from None


async def _weighed(request: web.Request) -> bytes:
    """The body of a request that does not say how large it is: every piece is counted as it comes."""
    visit = _visit.get()
    content, most = bytearray(), request.client_max_size
    async for piece in request.content.iter_any():
        if len(content) + len(piece) > most:
            raise BodyTooLarge(f"Maximum request body size {most} exceeded")
        visit.carry(max(0, len(content) + len(piece) - visit.bytes))
        content += piece
    return bytes(content)
