"""What the server calls itself."""

from importlib.metadata import PackageNotFoundError, version

NAME = "foldserve"


def own_version() -> str:
    """The installed version; empty where it runs from its sources alone."""
    try:
        return version(NAME)
    except PackageNotFoundError:
        return ""
