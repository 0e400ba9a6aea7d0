"""Which version a model should be at: the highest one that was not refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .sighting import Sighting


@dataclass(frozen=True, slots=True)
class Loaded:
    """The identity of what serves."""

    version: int
    digest: str


def candidate(listing: Iterable[Sighting], loaded: Loaded | None, refused: Mapping[int, str]) -> Sighting | None:
    """The version to load next, or None where nothing better than what serves is there.

    A version that failed is passed over until its directory changes, so that a server started beside a spoiled
    newest version serves the same one as a server that was running when it came. What serves is left for a lower
    version only when its directory is gone.

    Args:
        listing: What is there.
        loaded: What serves.
        refused: The fingerprint under which each failed version failed.
    """
    for sighting in sorted(listing, key=lambda sighting: -sighting.version):
        new = sighting.ready and refused.get(sighting.version) != sighting.fingerprint
        if loaded is not None and sighting.version == loaded.version:
            return sighting if new and sighting.digest != loaded.digest else None
        if new:
            return sighting
    return None
