"""A limit on the fields of a message, counted before the library turns them into objects.

A message of nothing but empty parts takes thirty times its bytes once it is read, and a second for every few millions
of them; a message that carries arrays has a few hundred fields, however large it is.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..errors import InvalidRequest

MOST_FIELDS = 1 << 18
FREE_BYTES = 4 << 20  # not counted: the library reads so many in 0.1 s and 120 MB at most, less than counting takes
_LEAST_BYTES = 2  # of a field
_NUMBER, _FIXED_64, _LENGTH, _GROUP, _GROUP_END, _FIXED_32 = range(6)
_SIZES = {_FIXED_64: 8, _FIXED_32: 4, _GROUP: 0, _GROUP_END: 0}


def check_fields(content: bytes, descriptor: Any, most: int = MOST_FIELDS, free_bytes: int = FREE_BYTES) -> None:
    """Raises InvalidRequest where a message that is not small has more than `most` fields, nested ones included.

    Bytes that are not a message pass: the library refuses them.
    """
    if len(content) > max(free_bytes, _LEAST_BYTES * most) and _exceeds(content, descriptor, most):
        raise InvalidRequest(
            f"the request has more than {most:,} fields: send arrays as bytes, repeated numbers packed, or fewer"
            " examples at once"
        )


def _exceeds(content: bytes, descriptor: Any, most: int) -> bool:
    # `pending` holds the messages that are not counted yet, with their types and bounds
    count, pending = 0, [(descriptor, 0, len(content))]
    while pending:
        message, at, stop = pending.pop()
        inner = _messages(message)
        while at < stop:
            count += 1
            if count > most:
                return True
            tag, at = _varint(content, at)
            if tag & 7 == _LENGTH:
                size, at = _varint(content, at)
                if tag >> 3 in inner:
                    pending.append((inner[tag >> 3], at, min(at + size, stop)))
                at += size
            elif tag & 7 == _NUMBER:
                _, at = _varint(content, at)
            else:
                at += _SIZES.get(tag & 7, stop)  # an unknown wire type ends the count: the library refuses it
    return False


@cache
def _messages(descriptor: Any) -> Mapping[int, Any]:
    """The types of the fields that are messages themselves, by number."""
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Reads a number; returns it and the offset of its end. Beyond the end of the message, zeros are assumed."""
    result = shift = 0
    for byte in content[at : at + 10]:
        result |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            break
        shift += 7
    else:
        at += 1
    return result, at
