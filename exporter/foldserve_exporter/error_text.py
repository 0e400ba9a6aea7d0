"""Other libraries' errors shortened to one line: Keras quotes whole configurations in its own."""

import re

_LONGEST = 400
_CAUSE = "Exception encountered: "
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def error_text(error: Exception) -> str:
    """The error's class and the beginning of its message, or of the cause that Keras appends to its message."""
    text = " ".join(_COLOURS.sub("", str(error)).split()).rpartition(_CAUSE)[2]
    return f"{type(error).__name__}: {text if len(text) <= _LONGEST else text[:_LONGEST] + ' …'}"
