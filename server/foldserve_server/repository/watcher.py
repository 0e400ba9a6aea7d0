"""Watches the model repository, and reconciles each model with it."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from foldserve_contract.bundle import MANIFEST
from foldserve_contract.plain_saved_model import is_plain
from foldserve_contract.repository import versions

from ..models.model_config import ModelConfig
from ..system.poll import Wait, poll
from .managers import ModelManagers
from .scanner import VersionScanner, VersionSnapshot
from .source import ModelSource

log = logging.getLogger(__name__)
Listings = Mapping[str, tuple[VersionSnapshot, ...]]


class Watcher:
    """Scans the model repository and reconciles every model with it.

    Args:
        source: The models that are to be served.
        managers: Where each model's manager is.
        scanner: Scans a version directory.

    Attributes:
        source: The models that are to be served; a reload changes it.
    """

    def __init__(self, source: ModelSource, managers: ModelManagers, scanner: VersionScanner | None = None) -> None:
        self.source = source
        self._managers = managers
        self._scanner = scanner or VersionScanner()
        self._scanning = asyncio.Lock()
        self._known_troubles: frozenset[str] = frozenset()

    async def look(self) -> None:
        """Scans once. A repository that cannot be read changes nothing."""
        source = self.source
        configs, listings = await self._survey(source)
        if source is self.source:  # else a reload came in between
            self._managers.see(configs, listings)

    async def survey(self, source: ModelSource) -> Listings:
        """The version directories of the models of any source."""
        return (await self._survey(source))[1]

    async def survey_all(self) -> tuple[Mapping[str, ModelConfig], Listings]:
        """The models that are to be served now, and their version directories."""
        return await self._survey(self.source)

    async def run(self, interval_s: float, wait: Wait = asyncio.sleep) -> None:
        """Scans after every interval; never where it is 0, as TensorFlow Serving has it."""
        await poll(self.look, "the models", interval_s, log, wait)

    async def _survey(self, source: ModelSource) -> tuple[Mapping[str, ModelConfig], Listings]:
        async with self._scanning:
            configs, listings, troubles = await asyncio.to_thread(self._scan, source)
        for trouble in sorted(troubles - self._known_troubles):  # not again at every look
            log.warning("%s", trouble)
        self._known_troubles = troubles
        return configs, listings

    def _scan(self, source: ModelSource) -> tuple[Mapping[str, ModelConfig], Listings, frozenset[str]]:
        troubles: list[str] = []
        directories: dict[str, Mapping[int, Path]] = {}
        try:
            configs = source.configs()
        except OSError as error:
            return {}, {}, frozenset([f"{source} cannot be read: {error}; what serves keeps serving"])
        for name, config in configs.items():
            try:
                directories[name] = versions(config.path.parent, config.path.name)
            except OSError as error:
                troubles.append(f"{config.path} cannot be read: {error}; what serves of it keeps serving")
        self._scanner.forget_all_but({path for paths in directories.values() for path in paths.values()})
        listings = {
            name: tuple(self._scanner.look(version, path) for version, path in paths.items())
            for name, paths in directories.items()
        }
        return configs, listings, frozenset(troubles + _missing(source, listings))


def _missing(source: ModelSource, listings: Listings) -> list[str]:
    snapshots = [snapshot for listing in listings.values() for snapshot in listing]
    others = [snapshot.path for snapshot in snapshots if snapshot.digest is None]
    plain = [path for path in others if is_plain(path)]
    troubles = [f"{path} has no {MANIFEST}; --allow-unverified serves plain SavedModels" for path in plain]
    if len(others) == len(snapshots):
        return [f"{source} holds no bundle; what arrives there will be served", *troubles]
    return troubles + [
        f"{path} is not a bundle, or not one yet: it has no {MANIFEST}" for path in others if path not in plain
    ]
