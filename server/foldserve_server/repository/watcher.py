"""Looks at the repository, now and then, and tells each model's keeper what it saw."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

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
        self._trouble = ""

    async def look(self) -> None:
        """Looks once. A repository that cannot be read changes nothing."""
        try:
            listings = await asyncio.to_thread(self._scan)
        except OSError as error:
            self._report(f"{self._source.path} cannot be read: {error}")
            return
        self._report("" if any(listings.values()) else f"{self._source.path} holds no bundle")
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

    def _scan(self) -> Listings:
        found = {name: _versions(folder) for name, folder in self._source.folders().items()}
        self._eye.forget_all_but({path for paths in found.values() for path in paths.values()})
        return {
            name: tuple(self._eye.look(version, path) for version, path in paths.items())
            for name, paths in found.items()
        }

    def _report(self, trouble: str) -> None:
        """Says what is wrong when it begins and when it ends, not at every look."""
        if trouble and trouble != self._trouble:
            log.warning("%s; looking again at every interval, what serves keeps serving", trouble)
        if self._trouble and not trouble:
            log.info("%s is in order again", self._source.path)
        self._trouble = trouble


def _versions(folder: Path) -> Mapping[int, Path]:
    """The versions of a model; none where its folder cannot be read now, which unloads nothing."""
    try:
        return versions(folder.parent, folder.name)
    except OSError as error:
        log.warning("%s cannot be read: %s", folder, error)
        return {}
