"""Errors for callers of an engine that cannot answer."""

from pathlib import Path

from ..errors import Unavailable


def unloading(path: Path) -> Unavailable:
    """The error for new requests to an engine that is unloaded: another version, or none, follows at once."""
    return Unavailable(f"{path} is being unloaded; try again", 0)


def unloaded() -> Unavailable:
    """The error for accepted requests that are given up."""
    return Unavailable("the engine was unloaded before the request was computed", 0)


def restarting(delay_s: float, start_s: float) -> Unavailable:
    """The error after a crash: another process starts after the delay and takes `start_s` to be ready."""
    return Unavailable("the engine crashed and is being restarted", int(1000 * (delay_s + start_s)))
