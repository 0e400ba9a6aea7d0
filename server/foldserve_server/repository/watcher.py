"""Looks at the repository, now and then, and tells each model's keeper what it saw."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from foldserve_contract.bundle import MANIFEST
from foldserve_contract.repository import versions

from .keeper import Keeper
from .sighting import Eye, Sighting
from .source import Source

log = logging.getLogger(__name__)
Listings = Mapping[str, tuple[Sighting, ...]]


class Watcher:
    """One keeper for every model that was ever seen.

    Args:
        source: Where to look.
        keep: Makes the keeper of a model.
        eye: Looks at a version directory.
    """

    def __init__(self, source: Source, keep: Callable[[str], Keeper], eye: Eye | None = None) -> None:
        self._source = source
        self._keep = keep
        self._eye = eye or Eye()
        self._keepers: dict[str, Keeper] = {}
        self._known_troubles: frozenset[str] = frozenset()

    async def look(self) -> None:
        """Looks once. A repository that cannot be read changes nothing."""
        listings, troubles = await asyncio.to_thread(self._scan)
        for trouble in sorted(troubles - self._known_troubles):  # not again at every look
            log.warning("%s", trouble)
        self._known_troubles = troubles
        for name in listings.keys() - self._keepers.keys():
            self._keepers[name] = self._keep(name)
        for name, keeper in self._keepers.items():
            keeper.see(listings.get(name, ()))

    async def run(self, interval_s: float, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Looks after every interval; never where it is 0, as TensorFlow Serving has it."""
        while interval_s > 0:
            await wait(interval_s)
            try:
                await self.look()
            except Exception:  # whatever it is, what serves goes on serving
                log.exception("looking at %s failed", self._source.path)

    async def settled(self) -> None:
        """Returns when nothing is being loaded."""
        for keeper in list(self._keepers.values()):
            await keeper.settled()

    async def close(self, grace_s: float) -> None:
        """Ends every engine."""
        await asyncio.gather(*(keeper.close(grace_s) for keeper in self._keepers.values()))

    def _scan(self) -> tuple[Listings, frozenset[str]]:
        troubles: list[str] = []
        found: dict[str, Mapping[int, Path]] = {}
        try:
            folders = self._source.folders()
        except OSError as error:
            return {}, frozenset([f"{self._source.path} cannot be read: {error}; what serves keeps serving"])
        for name, folder in folders.items():
            try:
                found[name] = versions(folder.parent, folder.name)
            except OSError as error:
                troubles.append(f"{folder} cannot be read: {error}; what serves of it keeps serving")
        self._eye.forget_all_but({path for paths in found.values() for path in paths.values()})
        listings = {
            name: tuple(self._eye.look(version, path) for version, path in paths.items())
            for name, paths in found.items()
        }
        return listings, frozenset(troubles + self._missing(listings))

    def _missing(self, listings: Listings) -> list[str]:
        seen = [sighting for sightings in listings.values() for sighting in sightings]
        if not any(sighting.digest for sighting in seen):
            return [f"{self._source.path} holds no bundle; what arrives there will be served"]
        return [
            f"{sighting.path} is no bundle, or not one yet: it has no {MANIFEST}"
            for sighting in seen
            if not sighting.digest
        ]
