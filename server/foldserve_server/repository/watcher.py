"""Looks at the repository, now and then, and tells each model's keeper what it saw."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from foldserve_contract.bundle import MANIFEST
from foldserve_contract.plain import is_plain
from foldserve_contract.repository import versions

from ..models.model_config import ModelConfig
from ..system.poll import Wait, poll
from .model_manager import ModelManager
from .reconciler_context import ReconcilerContext
from .scanner import VersionScanner, VersionSnapshot
from .source import ModelSource

log = logging.getLogger(__name__)
Listings = Mapping[str, tuple[VersionSnapshot, ...]]


class Watcher:
    """One keeper for every model that was ever seen and is still wanted.

    Args:
        source: Where to look.
        means: What the keepers work with.
        eye: Looks at a version directory.

    Attributes:
        source: Where to look; a reload changes it.
        keepers: By the name of the model.
    """

    def __init__(self, source: ModelSource, means: ReconcilerContext, eye: VersionScanner | None = None) -> None:
        self.source = source
        self.keepers: dict[str, ModelManager] = {}
        self.means = means
        self._eye = eye or VersionScanner()
        self._looking = asyncio.Lock()
        self._known_troubles: frozenset[str] = frozenset()

    async def look(self) -> None:
        """Looks once. A repository that cannot be read changes nothing."""
        source = self.source
        configs, listings = await self._survey(source)
        if source is not self.source:  # a reload came in between
            return
        for name in configs.keys() - self.keepers.keys():
            self.keepers[name] = ModelManager(configs[name], self.means)
        for name, keeper in self.keepers.items():
            keeper.see(listings.get(name, ()))

    async def survey(self, source: ModelSource) -> Listings:
        """What is there of the models of any source."""
        return (await self._survey(source))[1]

    async def survey_all(self) -> tuple[Mapping[str, ModelConfig], Listings]:
        """What is to be served now, and what is there of it."""
        return await self._survey(self.source)

    async def run(self, interval_s: float, wait: Wait = asyncio.sleep) -> None:
        """Looks after every interval; never where it is 0, as TensorFlow Serving has it."""
        await poll(self.look, "the models", interval_s, log, wait)

    async def settled(self) -> None:
        """Returns when nothing is being loaded."""
        for keeper in list(self.keepers.values()):
            await keeper.settled()

    async def close(self, grace_s: float) -> None:
        """Ends every engine."""
        await asyncio.gather(*(keeper.close(grace_s) for keeper in self.keepers.values()))

    async def _survey(self, source: ModelSource) -> tuple[Mapping[str, ModelConfig], Listings]:
        async with self._looking:
            configs, listings, troubles = await asyncio.to_thread(self._scan, source)
        for trouble in sorted(troubles - self._known_troubles):  # not again at every look
            log.warning("%s", trouble)
        self._known_troubles = troubles
        return configs, listings

    def _scan(self, source: ModelSource) -> tuple[Mapping[str, ModelConfig], Listings, frozenset[str]]:
        troubles: list[str] = []
        found: dict[str, Mapping[int, Path]] = {}
        try:
            configs = source.configs()
        except OSError as error:
            return {}, {}, frozenset([f"{source} cannot be read: {error}; what serves keeps serving"])
        for name, config in configs.items():
            try:
                found[name] = versions(config.path.parent, config.path.name)
            except OSError as error:
                troubles.append(f"{config.path} cannot be read: {error}; what serves of it keeps serving")
        self._eye.forget_all_but({path for paths in found.values() for path in paths.values()})
        listings = {
            name: tuple(self._eye.look(version, path) for version, path in paths.items())
            for name, paths in found.items()
        }
        return configs, listings, frozenset(troubles + _missing(source, listings))


def _missing(source: ModelSource, listings: Listings) -> list[str]:
    seen = [sighting for sightings in listings.values() for sighting in sightings]
    others = [sighting.path for sighting in seen if sighting.digest is None]
    plain = [path for path in others if is_plain(path)]
    troubles = [f"{path} has no {MANIFEST}; --allow-unverified serves plain SavedModels" for path in plain]
    if len(others) == len(seen):
        return [f"{source} holds no bundle; what arrives there will be served", *troubles]
    return troubles + [
        f"{path} is no bundle, or not one yet: it has no {MANIFEST}" for path in others if path not in plain
    ]
