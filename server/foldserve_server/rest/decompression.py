"""Bodies that come packed: unpacked in small steps, so that a short body cannot ask for much at once."""

import zlib
from collections.abc import Iterator

from ..errors import InvalidRequest
from .status import UnknownCoding

STEP = 1 << 20  # bytes
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_DEFLATED = 8  # the method, in the lowest bits of what stands before zlib's data


class IdentityDecoder:
    """A body that is not packed."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What a piece of the body holds."""
        yield piece

    def finish(self) -> None:
        """The body is over."""


class Decompressor(IdentityDecoder):
    """A body of gzip's or zlib's data, or of bare deflated data, as some callers understand `deflate`.

    Raises:
        InvalidRequest: It is not packed so, or ends too early.
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._one: zlib._Decompress | None = None  # what is not at its end yet

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """See `IdentityDecoder.feed`; no more than `STEP` bytes at once."""
        is_full = False
        while piece or is_full:
            one = self._one = self._one or zlib.decompressobj(self._bits(piece))
            try:
                found = one.decompress(piece, STEP)
            except zlib.error as error:
                raise self._broken(f"it is not packed so ({error})") from None
            piece, is_full = one.unconsumed_tail, len(found) == STEP and not one.eof
            if one.eof:  # gzip's data may be several, one behind the other
                self._one, piece = None, one.unused_data
            yield found

    def finish(self) -> None:
        """See `IdentityDecoder.finish`."""
        if self._one is not None:
            raise self._broken("it ends too early")

    def _bits(self, piece: bytes) -> int:
        if self._coding == "gzip":
            return _GZIP
        return _ZLIB if piece[0] & 0x0F == _DEFLATED else _RAW

    def _broken(self, reason: str) -> InvalidRequest:
        return InvalidRequest(f"the body cannot be read as {self._coding}, which Content-Encoding says: {reason}")


def decoder_for(header: str) -> IdentityDecoder:
    """What reads a body with this `Content-Encoding`.

    Raises:
        UnknownCoding: Nothing does.
    """
    codings = [name for part in header.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if not codings:
        return IdentityDecoder()
    coding = codings[0].removeprefix("x-")
    if len(codings) > 1 or coding not in ("gzip", "deflate"):
        raise UnknownCoding(f"Content-Encoding {header!r:.100} is not understood; send gzip, deflate or neither")
    return Decompressor(coding)
