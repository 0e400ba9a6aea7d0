"""PredictRequests whose arrays stay where they came: in the message's own bytes.

What is common is taken apart by hand: `tensor_content` is noted and left out, and the library reads the rest. What is
not common (a field twice, groups, many fields, numbers in more bytes than they need) the library reads as a whole,
so that what is accepted, and as what, is the library's decision in every case.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..protos import PredictRequest
from ..tensors import Piece
from .write import CONTENT, INPUTS, KEY, VALUE, with_length

_MOST_FIELDS = 64  # taking a message apart must cost next to nothing, whatever it holds
_LONGEST_TAG = _LONGEST_LENGTH = 5
_LONGEST_NUMBER = 10
_FIXED = {1: 8, 5: 4}
_NUMBER, _LENGTH = 0, 2
_NOTHING: Mapping[str, memoryview] = {}


class _Unusual(Exception):
    """Not to be read by hand."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A PredictRequest.

    Attributes:
        message: The library's PredictRequest.
        contents: The `tensor_content` of inputs whose TensorProto in `message` lacks it; it shares the bytes that came.
    """

    message: Any
    contents: Mapping[str, memoryview]


@dataclass(frozen=True, slots=True)
class _Field:
    """Where a field lies: from its tag, from its value, and to its end."""

    tag: int
    start: int
    value: int
    stop: int


def read_request(content: bytes) -> ReceivedRequest:
    """The PredictRequest in these bytes.

    Raises:
        google.protobuf.message.DecodeError: They are none.
    """
    try:
        rest, contents = _take_apart(content)
    except _Unusual:
        rest, contents = content, {}
    if not contents:
        return ReceivedRequest(PredictRequest.FromString(content), _NOTHING)
    message = PredictRequest.FromString(rest)  # which also says whether the names are text
    return ReceivedRequest(message, {name.decode(): found for name, found in contents.items()})


def _take_apart(content: bytes) -> tuple[bytes, dict[bytes, memoryview]]:
    """The message without `tensor_content`, and that content by input."""
    pieces: list[Piece] = []
    contents: dict[bytes, memoryview] = {}
    names: set[bytes] = set()
    for field in _fields(content, 0, len(content)):
        if field.tag != INPUTS[0]:
            pieces.append(content[field.start : field.stop])
            continue
        key, value = _entry(content, field)
        name = content[key.value : key.stop]
        if name in names:
            raise _Unusual
        names.add(name)
        proto, found = _tensor(content, value)
        if found is not None:
            contents[name] = found
        pieces += with_length(INPUTS, [content[key.start : key.stop], *with_length(VALUE, proto)])
    return b"".join(pieces), contents


def _entry(content: bytes, field: _Field) -> tuple[_Field, _Field]:
    """The key and the value of a map's entry."""
    found = list(_fields(content, field.value, field.stop))
    if [one.tag for one in found] != [KEY[0], VALUE[0]]:
        raise _Unusual
    return found[0], found[1]


def _tensor(content: bytes, field: _Field) -> tuple[list[Piece], memoryview | None]:
    """A TensorProto without its `tensor_content`, and that."""
    pieces: list[Piece] = []
    found: memoryview | None = None
    for one in _fields(content, field.value, field.stop):
        if one.tag != CONTENT[0]:
            pieces.append(content[one.start : one.stop])
        elif found is None:
            found = memoryview(content)[one.value : one.stop]
        else:
            raise _Unusual
    return pieces, found


def _fields(content: bytes, at: int, stop: int) -> Iterator[_Field]:
    for _ in range(_MOST_FIELDS):
        if at == stop:
            return
        start = at
        tag, at = _varint(content, at, _LONGEST_TAG)
        value, at = _skip(content, at, tag & 7)
        if at > stop:
            raise _Unusual
        yield _Field(tag, start, value, at)
    raise _Unusual


def _skip(content: bytes, at: int, kind: int) -> tuple[int, int]:
    """Where a field's value begins, and where it ends."""
    if kind == _LENGTH:
        size, at = _varint(content, at, _LONGEST_LENGTH)
        return at, at + size
    if kind == _NUMBER:
        return at, _varint(content, at, _LONGEST_NUMBER)[1]
    if kind in _FIXED:
        return at, at + _FIXED[kind]
    raise _Unusual


def _varint(content: bytes, at: int, longest: int) -> tuple[int, int]:
    """A number, and where it ends."""
    result = 0
    for shift, byte in enumerate(content[at : at + longest]):
        result |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            if not byte and shift:
                raise _Unusual
            return result, at + shift + 1
    raise _Unusual
