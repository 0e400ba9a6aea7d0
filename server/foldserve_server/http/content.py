"""The body of a request."""

from aiohttp import web

from .status import BodyTooLarge


async def content_of(request: web.Request) -> bytes:
    """All of it, unpacked where it was compressed.

    Raises:
        BodyTooLarge: It is larger than any may be.
    """
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise BodyTooLarge(error.text or error.reason) from None
