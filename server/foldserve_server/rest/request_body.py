"""The body of a request."""

import asyncio
from contextvars import ContextVar

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from ..errors import DeadlineExceeded, InvalidRequest
from ..security.admission import Admission
from .decompression import STEP, decoder_for
from .status import BodyTooLarge

STALLED_S = 30.0
_PIECES = 64  # of which a packed body may have any number with nothing in them
_visit: ContextVar[Admission] = ContextVar("visit")


def enter(visit: Admission) -> None:
    """From here on, this task answers the request of this visit."""
    _visit.set(visit)


def size_of(request: web.Request) -> int:
    """How large the body is as its headers tell; 0 where they do not.

    Raises:
        BodyTooLarge: Larger than any may be.
    """
    size = request.content_length or 0
    if size > request.client_max_size:
        raise _too_large(request)
    return size


async def content_of(request: web.Request, stalled_s: float = STALLED_S) -> bytes:
    """All of it, unpacked where it was compressed. What it turns out to be is counted as it comes.

    Raises:
        BodyTooLarge: It is larger than any may be.
        InvalidRequest: It is not packed as its headers say, or ends too early.
        UnknownCoding: It is packed in no way that is understood.
        QueueFull: It turned out larger than its headers say, and there is no room for it beside the others.
        DeadlineExceeded: Nothing of it came for so long.
    """
    visit, content, came = _visit.get(), bytearray(), 0
    unpacked = decoder_for(request.headers.get("Content-Encoding", ""))
    try:
        while packed := await _next(request, stalled_s):
            came += len(packed)
            if came > request.client_max_size:
                raise _too_large(request)
            for number, piece in enumerate(unpacked.feed(packed), 1):
                if len(content) + len(piece) > request.client_max_size:
                    raise _too_large(request)
                visit.carry(max(0, len(content) + len(piece) - visit.bytes))
                content += piece
                if len(piece) >= STEP or number % _PIECES == 0:
                    await asyncio.sleep(0)  # others come in between
    except RequestPayloadError as error:
        raise InvalidRequest(f"the body cannot be read: {' '.join(str(error).split())}") from None
    except TimeoutError:
        raise DeadlineExceeded(f"nothing of the body came for {stalled_s:g} s") from None
    unpacked.finish()
    return bytes(content)


async def _next(request: web.Request, stalled_s: float) -> bytes:
    async with asyncio.timeout(stalled_s):
        return await request.content.readany()


def _too_large(request: web.Request) -> BodyTooLarge:
    return BodyTooLarge(f"Maximum request body size {request.client_max_size} exceeded")
