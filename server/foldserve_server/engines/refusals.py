"""What callers of an engine are told when it cannot answer them."""

from pathlib import Path

from ..errors import Unavailable


def unloading(path: Path) -> Unavailable:
    """Nothing new is taken: another version, or none, follows at once."""
    return Unavailable(f"{path} is being unloaded; try again", 0)


def unloaded() -> Unavailable:
    """What was accepted is given up."""
    return Unavailable("the engine was unloaded before the request was computed", 0)


def restarting(delay_s: float, start_s: float) -> Unavailable:
    """The process died, and another one starts after the delay and takes `start_s` to be ready."""
    return Unavailable("the engine crashed and is being restarted", int(1000 * (delay_s + start_s)))
