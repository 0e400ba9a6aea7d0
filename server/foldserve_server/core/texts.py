"""How TensorFlow Serving words what it says."""

from collections.abc import Iterable

MAX_MESSAGE_BYTES = 1024
_CUT = "...TRUNCATED"


def name_set(names: Iterable[str]) -> str:
    """Names in braces, sorted, with commas and no space: `{a,b}`."""
    return "{" + ",".join(sorted(names)) + "}"


def shorten(message: str) -> str:
    """The message, cut where it is longer than TensorFlow Serving lets one be."""
    content = message.encode(errors="replace")
    if len(content) <= MAX_MESSAGE_BYTES:
        return message
    return content[:MAX_MESSAGE_BYTES].decode(errors="ignore") + _CUT
