"""One model, loaded or unloaded because somebody asks for it, as Triton has it."""

from dataclasses import replace

from ..errors import InvalidRequest, NotInRepository, ServableNotFound
from ..models.model_config import ModelConfig, Specific
from ..models.query import ModelRef
from .model_manager import ModelManager
from .scanner import VersionSnapshot
from .watcher import Watcher


class LoadApi:
    """Loads and unloads the models of a watcher."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    async def load(self, name: str) -> None:
        """Looks at the model's folder now, and tries what should serve, also what was refused before.

        A directory is tried as it stands: whoever asks says that it is whole.

        Raises:
            NotInRepository: There is no such model among those that are to be served, or no version of it.
            InvalidRequest: A version that should serve was refused; the message tells why.
        """
        config, listing = await self._find(name)
        keeper = self._watcher.keepers.get(name)
        if keeper is None:
            keeper = self._watcher.keepers[name] = ModelManager(config, self._watcher.means)
        keeper.again(listing)
        await keeper.settled()
        self._require_served(keeper, listing)

    async def unload(self, name: str) -> None:
        """Takes the model out of service: no more callers are let in, and those who are there are answered.

        Raises:
            ServableNotFound: Nothing is known of such a model.
        """
        keeper = self._watcher.keepers.get(name)
        if keeper is None:
            raise ServableNotFound(f"Request for unknown model: '{name}' is not found")
        keeper.suspend()

    async def _find(self, name: str) -> tuple[ModelConfig, tuple[VersionSnapshot, ...]]:
        configs, listings = await self._watcher.survey_all()
        if name not in configs:
            raise NotInRepository(f"failed to load '{name}', failed to poll from model repository")
        listing = tuple(
            replace(sighting, ready=True) for sighting in listings.get(name, ()) if sighting.digest is not None
        )
        if not listing:
            raise NotInRepository(f"failed to load '{name}', no version is available")
        return configs[name], listing

    def _require_served(self, keeper: ModelManager, listing: tuple[VersionSnapshot, ...]) -> None:
        policy, there = keeper.config.policy, {sighting.version for sighting in listing}
        asked = policy.versions if isinstance(policy, Specific) else policy.choose(there)
        reasons = dict.fromkeys(asked - there, "it is not there") | self._reasons(keeper.config.name)
        missing = sorted(asked - keeper.loaded.keys())
        if missing:
            told = " ".join(
                f"version {version} is at UNAVAILABLE state: {reasons.get(version) or 'it was not loaded'};"
                for version in missing
            )
            raise InvalidRequest(f"load failed for model '{keeper.config.name}': {told}")

    def _reasons(self, name: str) -> dict[int, str]:
        try:
            return {one.version: one.reason for one in self._watcher.means.table.status(ModelRef(name))}
        except ServableNotFound:
            return {}
