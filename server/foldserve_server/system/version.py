"""The server's name and version."""

from importlib.metadata import PackageNotFoundError, version

NAME = "foldserve"


def own_version() -> str:
    """The version of the installed distribution; empty where the server runs from sources alone."""
    try:
        return version(NAME)
    except PackageNotFoundError:
        return ""
