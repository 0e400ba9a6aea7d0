"""Decompression of request bodies in small steps, so that a short body cannot take much memory at once.

The library's own decompression is off: it accepts a truncated gzip body, passes on unsupported codings undecoded, and
answers some malformed bodies with status 500.
"""

import zlib
from collections.abc import Iterator

from ..errors import InvalidRequest
from .status import UnknownCoding

CHUNK_BYTES = 1 << 20
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_DEFLATED = 8  # the compression method, in the lowest bits of zlib's header


class IdentityDecoder:
    """Passes on a body that is not compressed."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yields the content of a chunk of the body."""
        yield chunk

    def finish(self) -> None:
        """Ends the body."""


class Decompressor(IdentityDecoder):
    """Decompresses gzip or zlib data, or raw deflate data, which some callers send as `deflate`.

    Raises:
        InvalidRequest: The body is not compressed in this way, or ends too early.
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._member: zlib._Decompress | None = None  # a body may consist of several members, one behind the other

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """See `IdentityDecoder.feed`; yields at most `CHUNK_BYTES` at once."""
        is_full = False
        while chunk or is_full:
            member = self._member = self._member or zlib.decompressobj(self._window_bits(chunk))
            try:
                content = member.decompress(chunk, CHUNK_BYTES)
            except zlib.error as error:
                raise self._malformed(f"it is not packed so ({error})") from None
            chunk, is_full = member.unconsumed_tail, len(content) == CHUNK_BYTES and not member.eof
            if member.eof:
                self._member, chunk = None, member.unused_data
            yield content

    def finish(self) -> None:
        """See `IdentityDecoder.finish`."""
        if self._member is not None:
            raise self._malformed("it ends too early")

    def _window_bits(self, chunk: bytes) -> int:
        if self._coding == "gzip":
            return _GZIP
        return _ZLIB if chunk[0] & 0x0F == _DEFLATED else _RAW

    def _malformed(self, reason: str) -> InvalidRequest:
        return InvalidRequest(f"the body cannot be read as {self._coding}, which Content-Encoding says: {reason}")


def decoder_for(header: str) -> IdentityDecoder:
    """The decoder of a body with this `Content-Encoding`.

    Raises:
        UnknownCoding: The coding is not supported.
    """
    codings = [name for part in header.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if not codings:
        return IdentityDecoder()
    coding = codings[0].removeprefix("x-")
    if len(codings) > 1 or coding not in ("gzip", "deflate"):
        raise UnknownCoding(f"Content-Encoding {header!r:.100} is not understood; send gzip, deflate or neither")
    return Decompressor(coding)
