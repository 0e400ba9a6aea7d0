"""Bodies of requests: read in pieces, decompressed, and counted against the limits as they arrive."""

import asyncio
from contextvars import ContextVar

from aiohttp import web
from aiohttp.http import HttpVersion11
from aiohttp.web_protocol import RequestPayloadError

from ..errors import DeadlineExceeded, InvalidRequest
from ..security.admission import Admission
from .connection import CONTINUE
from .decompression import CHUNK_BYTES, IdentityDecoder, decoder_for
from .status import BodyTooLarge

STALLED_S = 30.0
_MEMBERS = 64  # a compressed body may consist of any number of members, all of them empty
_admission: ContextVar[Admission] = ContextVar("admission")


def set_admission(admission: Admission) -> None:
    """Sets the admission of the request that this task answers."""
    _admission.set(admission)


def announced_size(request: web.Request) -> int:
    """The body's size by its headers; 0 where they lack it.

    Raises:
        BodyTooLarge: The size exceeds the limit.
    """
    size = request.content_length or 0
    if size > request.client_max_size:
        raise _too_large(request)
    return size


async def _invite(request: web.Request) -> None:
    """Asks a caller for the body that it holds back."""
    if "Expect" in request.headers and request.version >= HttpVersion11 and not request.content.is_eof():
        await request.writer.write(CONTINUE)
        request.writer.output_size = 0  # the response itself has not begun


async def read_body(request: web.Request, stalled_s: float = STALLED_S) -> bytes:
    """Reads the whole body and decompresses it; its size is counted as it arrives.

    Raises:
        BodyTooLarge: The body, compressed or decompressed, exceeds the limit.
        InvalidRequest: The body is not compressed as its headers say, or ends too early.
        UnknownCoding: The body's compression is not supported.
        QueueFull: The body is larger than its headers say, and does not fit beside those of other requests.
        DeadlineExceeded: Nothing of the body arrived for `stalled_s` seconds.
    """
    received, content = 0, bytearray()
    decoder = decoder_for(request.headers.get("Content-Encoding", ""))
    await _invite(request)
    try:
        while chunk := await _next_chunk(request, stalled_s):
            received += len(chunk)
            if received > request.client_max_size:
                raise _too_large(request)
            await _decode(request, decoder, chunk, content)
    except RequestPayloadError as error:
        raise InvalidRequest(f"the body cannot be read: {' '.join(str(error).split())}") from None
    except TimeoutError:
        raise DeadlineExceeded(f"nothing of the body came for {stalled_s:g} s") from None
    decoder.finish()
    return bytes(content)


async def _next_chunk(request: web.Request, stalled_s: float) -> bytes:
    async with asyncio.timeout(stalled_s):
        return await request.content.readany()


async def _decode(request: web.Request, decoder: IdentityDecoder, chunk: bytes, content: bytearray) -> None:
    """Appends what a chunk holds to the content, while its size is allowed and admitted."""
    admission = _admission.get()
    for number, piece in enumerate(decoder.feed(chunk), 1):
        size = len(content) + len(piece)
        if size > request.client_max_size:
            raise _too_large(request)
        admission.grow(max(0, size - admission.size))
        content += piece
        if len(piece) >= CHUNK_BYTES or number % _MEMBERS == 0:
            await asyncio.sleep(0)  # lets other requests run


def _too_large(request: web.Request) -> BodyTooLarge:
    return BodyTooLarge(f"Maximum request body size {request.client_max_size} exceeded")
