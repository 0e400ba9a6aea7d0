"""Watches the model repository, and reconciles each model with it."""

import asyncio
import logging
from collections.abc import Mapping

from ..models.model_config import ModelConfig
from ..system.poll import Wait, poll
from .managers import ModelManagers
from .scanner import VersionScanner
from .source import ModelSource
from .survey import Listings, Survey, survey

log = logging.getLogger(__name__)


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

    async def look(self) -> None:
        """Scans once. A repository that cannot be read changes nothing."""
        source = self.source
        result = await self._survey(source)
        if source is self.source and result.configs is not None:  # else a reload came in between
            self._managers.see(result.configs, result.listings)

    async def survey(self, source: ModelSource) -> Listings:
        """The version directories of the models of any source."""
        return (await self._survey(source)).listings

    async def survey_all(self) -> tuple[Mapping[str, ModelConfig], Listings]:
        """The models that are to be served now, and their version directories."""
        result = await self._survey(self.source)
        return result.configs or {}, result.listings

    async def run(self, interval_s: float, wait: Wait = asyncio.sleep) -> None:
        """Scans after every interval; never where it is 0, as TensorFlow Serving has it."""
        await poll(self.look, "the models", interval_s, log, wait)

    async def _survey(self, source: ModelSource) -> Survey:
        async with self._scanning:
            result = await asyncio.to_thread(survey, source, self._scanner)
        if source is self.source:
            before = self._managers.context.table.notices if result.configs is None else ()
            self._report(tuple(dict.fromkeys((*result.notices, *before))))
        return result

    def _report(self, notices: tuple[str, ...]) -> None:
        """Logs the notices that are new, and has the page show all."""
        table = self._managers.context.table
        for notice in notices:
            if notice not in table.notices:
                log.warning("%s", notice)
        table.set_notices(notices)
