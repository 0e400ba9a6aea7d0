"""Models loaded and unloaded on request, as with Triton's model repository API."""

from dataclasses import replace

from ..errors import InvalidRequest, NotInRepository, ServableNotFound
from ..models.model_config import ModelConfig, Specific
from ..models.query import ModelRef
from .managers import ModelManagers
from .model_manager import ModelManager
from .scanner import VersionSnapshot
from .watcher import Watcher


class LoadUnloadApi:
    """Loads and unloads single models."""

    def __init__(self, watcher: Watcher, managers: ModelManagers) -> None:
        """The watcher scans the folders of the models that the managers serve."""
        self._watcher = watcher
        self._managers = managers

    async def load(self, name: str) -> None:
        """Scans the model's folder now, and tries what should serve, also what was refused before.

        A directory is tried as it stands: the request says that it is whole.

        Raises:
            NotInRepository: There is no such model among those that are to be served, or no version of it.
            InvalidRequest: A version that should serve was refused; the message gives the reason.
        """
        config, listing = await self._find(name)
        manager = self._managers.create(config)
        manager.again(listing)
        await manager.settled()
        self._require_served(manager, listing)

    async def unload(self, name: str) -> None:
        """Takes the model out of service: no more callers are admitted, and those that are waiting are answered.

        Raises:
            ServableNotFound: No such model is known.
        """
        manager = self._managers.get(name)
        if manager is None:
            raise ServableNotFound(f"Request for unknown model: '{name}' is not found")
        manager.suspend()

    async def _find(self, name: str) -> tuple[ModelConfig, tuple[VersionSnapshot, ...]]:
        configs, listings = await self._watcher.survey_all()
        if name not in configs:
            raise NotInRepository(f"failed to load '{name}', failed to poll from model repository")
        listing = tuple(
            replace(snapshot, ready=True) for snapshot in listings.get(name, ()) if snapshot.digest is not None
        )
        if not listing:
            raise NotInRepository(f"failed to load '{name}', no version is available")
        return configs[name], listing

    def _require_served(self, manager: ModelManager, listing: tuple[VersionSnapshot, ...]) -> None:
        policy, there = manager.config.policy, {snapshot.version for snapshot in listing}
        wanted = policy.versions if isinstance(policy, Specific) else policy.choose(there)
        reasons = dict.fromkeys(wanted - there, "it is not there") | self._reasons(manager.config.name)
        missing = sorted(wanted - manager.loaded.keys())
        if missing:
            states = " ".join(
                f"version {version} is at UNAVAILABLE state: {reasons.get(version) or 'it was not loaded'};"
                for version in missing
            )
            raise InvalidRequest(f"load failed for model '{manager.config.name}': {states}")

    def _reasons(self, name: str) -> dict[int, str]:
        try:
            servables = self._managers.context.table.status(ModelRef(name))
        except ServableNotFound:
            return {}
        return {servable.version: servable.reason for servable in servables}
