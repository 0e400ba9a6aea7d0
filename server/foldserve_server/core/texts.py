"""How TensorFlow Serving words what it says."""

from collections.abc import Iterable

MAX_MESSAGE = 1024
_CUT = "...TRUNCATED"


def name_set(names: Iterable[str]) -> str:
    """Names in braces, sorted, with commas and no space: `{a,b}`."""
    return "{" + ",".join(sorted(names)) + "}"


def shorten(message: str) -> str:
    """The message, cut where it is longer than TensorFlow Serving lets one be."""
    return message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + _CUT
