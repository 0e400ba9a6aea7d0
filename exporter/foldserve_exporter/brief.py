"""Other libraries' errors in a line: Keras quotes whole configurations in its own."""

_LONGEST = 400


def brief(error: Exception) -> str:
    """The kind of error and the beginning of what it says."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= _LONGEST else text[:_LONGEST] + ' …'}"
