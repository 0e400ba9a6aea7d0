"""The owner of all model managers."""

import asyncio
from collections.abc import Mapping, Sequence, Set

from ..models.model_config import ModelConfig
from .manager_context import ManagerContext, VerifiedVersion
from .model_manager import ModelManager
from .scanner import VersionSnapshot


class ModelManagers:
    """Manager for every model that was ever seen and is still to be served.

    Attributes:
        context: What the managers work with.
    """

    def __init__(self, context: ManagerContext) -> None:
        self.context = context
        self._managers: dict[str, ModelManager] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    def get(self, name: str) -> ModelManager | None:
        """The manager of a model; None where there is none."""
        return self._managers.get(name)

    def names(self) -> Set[str]:
        """The models that have a manager."""
        return self._managers.keys()

    def create(self, config: ModelConfig) -> ModelManager:
        """The manager of a model, made for this configuration where there is none."""
        if config.name not in self._managers:
            self._managers[config.name] = ModelManager(config, self.context)
        return self._managers[config.name]

    def see(self, configs: Mapping[str, ModelConfig], listings: Mapping[str, Sequence[VersionSnapshot]]) -> None:
        """Gives every manager what a scan found of its model; models that are new get a manager.

        A model that is configured and not listed could not be read: nothing changes for it.
        """
        for config in configs.values():
            self.create(config)
        for name, manager in self._managers.items():
            if name in listings or name not in configs:
                manager.see(listings.get(name, ()))

    def replace(
        self,
        configs: Sequence[ModelConfig],
        listings: Mapping[str, Sequence[VersionSnapshot]],
        verified: Mapping[str, Sequence[VerifiedVersion]],
    ) -> None:
        """Puts one set of models in the place of another, all of it in this turn of the event loop.

        Args:
            configs: All models that are to be served from now on.
            listings: What a scan found of each.
            verified: The versions of each that were loaded for it.
        """
        for config in configs:
            self.create(config).adopt(config, listings.get(config.name, ()), verified[config.name])
        for name in self._managers.keys() - {config.name for config in configs}:
            manager = self._managers.pop(name)
            manager.retire(self.context.grace_s)
            retiring = asyncio.ensure_future(manager.gone())
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)

    async def settled(self) -> None:
        """Returns when no version is being loaded."""
        for manager in list(self._managers.values()):
            await manager.settled()

    async def close(self, grace_s: float) -> None:
        """Ends every engine."""
        await asyncio.gather(*(manager.close(grace_s) for manager in self._managers.values()))

    async def retired(self, grace_s: float) -> None:
        """Returns when the models that were replaced are gone, or after the grace."""
        if self._retiring:
            await asyncio.wait(self._retiring, timeout=grace_s)
