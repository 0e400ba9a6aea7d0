"""The body of a request."""

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from ..core.errors import InvalidRequest
from .status import BodyTooLarge


async def content_of(request: web.Request) -> bytes:
    """All of it, unpacked where it was compressed.

    Raises:
        BodyTooLarge: It is larger than any may be.
        InvalidRequest: It is not packed as its headers say, or ends too early.
    """
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise BodyTooLarge(error.text or error.reason) from None
    except RequestPayloadError as error:
        raise InvalidRequest(f"the body cannot be read: {' '.join(str(error).split())}") from None
