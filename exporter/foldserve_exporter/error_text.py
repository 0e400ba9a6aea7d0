"""Other libraries' errors in a line: Keras quotes whole configurations in its own."""

import re

_LONGEST = 400
_CAUSE = "Exception encountered: "
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def error_text(error: Exception) -> str:
    """The kind of error and the beginning of what it says, or of what Keras says at the end to have been the cause."""
    text = " ".join(_COLOURS.sub("", str(error)).split()).rpartition(_CAUSE)[2]
    return f"{type(error).__name__}: {text if len(text) <= _LONGEST else text[:_LONGEST] + ' …'}"
