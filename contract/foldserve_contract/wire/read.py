"""Parsing of PredictRequests without copying arrays out of the message's bytes.

Common messages are split here: `tensor_content` is located and left out, and the library parses the rest. Uncommon
ones (a repeated field, groups, many fields, overlong varints) are parsed by the library as a whole, so that in every
case the library decides which messages are accepted, and with which content.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..protos import PredictRequest
from ..tensors import Piece
from .write import CONTENT, INPUTS, KEY, VALUE, with_length

_MOST_FIELDS = 64  # bounds the cost of splitting, whatever the message holds
_LONGEST_TAG = _LONGEST_LENGTH = 5
_LONGEST_NUMBER = 10
_FIXED = {1: 8, 5: 4}
_NUMBER, _LENGTH = 0, 2
_NOTHING: Mapping[str, memoryview] = {}


class _Uncommon(Exception):
    """The message is not common: the library must parse it whole."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A PredictRequest, with the contents of its arrays apart.

    Attributes:
        message: The library's PredictRequest.
        contents: The `tensor_content` of inputs whose TensorProto in `message` lacks it; shares the received bytes.
    """

    message: Any
    contents: Mapping[str, memoryview]


@dataclass(frozen=True, slots=True)
class _Field:
    """Position of a field: offsets of its tag, of its value, and of its end."""

    tag: int
    start: int
    value: int
    stop: int


def read_request(content: bytes) -> ReceivedRequest:
    """Parses a serialized PredictRequest.

    Raises:
        google.protobuf.message.DecodeError: The bytes are not one.
    """
    try:
        rest, contents = _split(content)
    except _Uncommon:
        rest, contents = content, {}
    if not contents:
        return ReceivedRequest(PredictRequest.FromString(content), _NOTHING)
    message = PredictRequest.FromString(rest)  # refuses names that are not UTF-8, too
    return ReceivedRequest(message, {name.decode(): tensor_content for name, tensor_content in contents.items()})


def _split(content: bytes) -> tuple[bytes, dict[bytes, memoryview]]:
    """Splits a message: the bytes without `tensor_content`, and that content by input."""
    pieces: list[Piece] = []
    contents: dict[bytes, memoryview] = {}
    names: set[bytes] = set()
    for field in _fields(content, 0, len(content)):
        # all fields but the map of inputs are small: they are copied as they are
        if field.tag != INPUTS[0]:
            pieces.append(content[field.start : field.stop])
            continue
        # an input named twice replaces the first one, which the library does itself
        key, value = _entry(content, field)
        name = content[key.value : key.stop]
        if name in names:
            raise _Uncommon
        names.add(name)
        # the entry is written again around the rest of its TensorProto, with new lengths
        proto, tensor_content = _tensor(content, value)
        if tensor_content is not None:
            contents[name] = tensor_content
        pieces += with_length(INPUTS, [content[key.start : key.stop], *with_length(VALUE, proto)])
    return b"".join(pieces), contents


def _entry(content: bytes, field: _Field) -> tuple[_Field, _Field]:
    """Splits a map's entry into key and value."""
    fields = list(_fields(content, field.value, field.stop))
    if [member.tag for member in fields] != [KEY[0], VALUE[0]]:
        raise _Uncommon
    return fields[0], fields[1]


def _tensor(content: bytes, field: _Field) -> tuple[list[Piece], memoryview | None]:
    """Splits a TensorProto: the fields without `tensor_content`, and that content."""
    pieces: list[Piece] = []
    tensor_content: memoryview | None = None
    for member in _fields(content, field.value, field.stop):
        if member.tag != CONTENT[0]:
            pieces.append(content[member.start : member.stop])
        elif tensor_content is None:
            tensor_content = memoryview(content)[member.value : member.stop]
        else:
            raise _Uncommon
    return pieces, tensor_content


def _fields(content: bytes, at: int, stop: int) -> Iterator[_Field]:
    for _ in range(_MOST_FIELDS):
        if at == stop:
            return
        start = at
        tag, at = _varint(content, at, _LONGEST_TAG)
        value, at = _skip(content, at, tag & 7)
        if at > stop:
            raise _Uncommon
        yield _Field(tag, start, value, at)
    raise _Uncommon


def _skip(content: bytes, at: int, kind: int) -> tuple[int, int]:
    """The offsets of a field's value and of its end."""
    if kind == _LENGTH:
        size, at = _varint(content, at, _LONGEST_LENGTH)
        return at, at + size
    if kind == _NUMBER:
        return at, _varint(content, at, _LONGEST_NUMBER)[1]
    if kind in _FIXED:
        return at, at + _FIXED[kind]
    raise _Uncommon


def _varint(content: bytes, at: int, longest: int) -> tuple[int, int]:
    """Reads a varint; returns the number and the offset of its end."""
    result = 0
    for shift, byte in enumerate(content[at : at + longest]):
        result |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            if not byte and shift:
                raise _Uncommon
            return result, at + shift + 1
    raise _Uncommon
