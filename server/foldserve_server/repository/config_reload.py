"""Another set of models, all of it or nothing.

First everything that the new set asks for and that does not serve yet is loaded aside, through the gate, while all
that serves goes on serving. Only when all of it is ready does the set take effect, in one turn of the event loop:
versions, labels and models that are no longer named. Until then it can be given up without a trace.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..context.rights import ALL_RIGHTS, Rights
from ..errors import Forbidden, LoadFailed, NotPossible, ReloadFailed
from ..models.model_config import ModelConfig, Specific
from ..system import stall_timer
from .decide import eligible, is_loadable
from .model_manager import ModelManager
from .reconciler_context import VerifiedVersion
from .scanner import VersionSnapshot
from .source import ListedSource
from .watcher import Watcher

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _ModelPlan:
    """What one model needs: the versions that will serve, and those of them that are to be loaded first."""

    config: ModelConfig
    listing: tuple[VersionSnapshot, ...]
    serve: frozenset[int]
    load: tuple[VersionSnapshot, ...]


class Reloader:
    """Puts one set of models in the place of another; one reload at a time.

    Args:
        watcher: Whose models they are.
        patience_s: How long loading may take.
    """

    def __init__(self, watcher: Watcher, patience_s: float) -> None:
        self._watcher = watcher
        self._patience_s = patience_s
        self._busy = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()

    async def reload(self, models: Sequence[ModelConfig], origin: str, rights: Rights = ALL_RIGHTS) -> None:
        """Returns when the new set serves. Cancelling it, or its failure, leaves everything as it was.

        Args:
            models: All that is to be served from now on.
            origin: Who asks, for people.
            rights: What whoever asks may change.

        Raises:
            Forbidden: A model would change, or end, to which there is no right.
            NotPossible: A label would stand for a version that will not serve.
            ReloadFailed: A version could not be loaded, or not in time.
        """
        if not models:
            log.info("%s asks for no model at all: nothing is changed", origin)
            return
        async with self._busy:
            self._require(models, rights)
            source = ListedSource(tuple(models), origin)
            listings = await self._watcher.survey(source)
            plans = [self._plan(model, listings.get(model.name, ())) for model in models]
            for plan in plans:
                _check_labels(plan)
            held = await self._load(plans)
            self._commit(source, plans, held)

    async def close(self, grace_s: float) -> None:
        """Returns when the models that were left are gone."""
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=grace_s)

    def _require(self, models: Sequence[ModelConfig], rights: Rights) -> None:
        """What stays as it is needs no right; a model that would end is not named to who may not know of it."""
        keepers = self._watcher.keepers
        for model in models:
            keeper = keepers.get(model.name)
            same = keeper is not None and keeper.config == model and not keeper.suspended
            if not same and not rights.allows(model.name):
                raise Forbidden(f"this token gives no right to change model {model.name!r}")
        if not all(map(rights.allows, keepers.keys() - {model.name for model in models})):
            raise Forbidden(
                "this token gives no right to a model that would not be served any more; name every one that is served"
            )

    def _plan(self, config: ModelConfig, listing: tuple[VersionSnapshot, ...]) -> _ModelPlan:
        keeper = self._watcher.keepers.get(config.name)
        same_place = keeper is not None and keeper.config.path == config.path
        loaded = keeper.loaded if keeper is not None and same_place else {}
        if keeper is not None and same_place and keeper.config.policy == config.policy and not keeper.suspended:
            return _ModelPlan(config, listing, frozenset(loaded), ())
        known = keeper is not None and same_place and not isinstance(config.policy, Specific)
        refused = keeper.refused if keeper is not None and known else {}
        wanted = eligible(listing, config.policy, loaded, refused)
        serve = frozenset(sighting.version for sighting in wanted)
        asked = config.policy.versions if isinstance(config.policy, Specific) else serve
        if not wanted or asked - serve:
            missing = ", ".join(str(version) for version in sorted(asked - serve))
            which = f"version {missing} is not there, or is no bundle," if missing else "no version is there"
            raise ReloadFailed({config.name: f"{which} in {config.path}"})
        return _ModelPlan(config, listing, serve, tuple(one for one in wanted if is_loadable(one, loaded, refused)))

    async def _load(self, plans: Sequence[_ModelPlan]) -> Mapping[str, tuple[VerifiedVersion, ...]]:
        """Everything that is to be loaded, by the name of its model; or nothing is left of it."""
        jobs = {
            (plan.config.name, sighting.version): asyncio.ensure_future(self._hold(plan.config.name, sighting))
            for plan in plans
            for sighting in plan.load
        }
        try:
            if jobs:
                await stall_timer.wait_while_running(jobs.values(), self._patience_s, asyncio.FIRST_EXCEPTION)
            _require_all({f"{name} version: {version}": job for (name, version), job in jobs.items()})
        except BaseException:
            await asyncio.shield(_give_up(jobs.values()))
            raise
        return {
            plan.config.name: tuple(jobs[plan.config.name, sighting.version].result() for sighting in plan.load)
            for plan in plans
        }

    async def _hold(self, name: str, sighting: VersionSnapshot) -> VerifiedVersion:
        short = self._watcher.means.room(name, sighting.path)
        if short is not None:
            raise LoadFailed(short)
        try:
            return VerifiedVersion(sighting, await self._watcher.means.start(name, sighting.path))
        except LoadFailed:
            self._watcher.means.table.telemetry.not_loaded(name, str(sighting.path))
            raise

    def _commit(
        self, source: ListedSource, plans: Sequence[_ModelPlan], held: Mapping[str, tuple[VerifiedVersion, ...]]
    ) -> None:
        watcher = self._watcher
        watcher.source = source
        for plan in plans:
            keeper = watcher.keepers.get(plan.config.name)
            if keeper is None:
                keeper = watcher.keepers[plan.config.name] = ModelManager(plan.config, watcher.means)
            keeper.adopt(plan.config, plan.listing, held[plan.config.name])
        for name in watcher.keepers.keys() - {plan.config.name for plan in plans}:
            keeper = watcher.keepers.pop(name)
            keeper.retire(watcher.means.grace_s)
            leaving = asyncio.ensure_future(keeper.gone())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        log.info("%s: these models are served now: %s", source, ", ".join(sorted(held)))


def _check_labels(plan: _ModelPlan) -> None:
    for version in plan.config.labels.values():
        if version not in plan.serve:
            raise NotPossible(
                f"Request to assign label to version {version} of model {plan.config.name},"
                " which is not currently available for inference"
            )


def _require_all(jobs: Mapping[str, "asyncio.Future[VerifiedVersion]"]) -> None:
    errors = {key: job.exception() for key, job in jobs.items() if job.done()}
    failed = {key: " ".join(str(error).split()) for key, error in errors.items() if error is not None}
    late = dict.fromkeys(jobs.keys() - errors.keys(), "it was not loaded in time")
    if failed or late:
        raise ReloadFailed(failed or late)


async def _give_up(jobs: Iterable["asyncio.Future[VerifiedVersion]"]) -> None:
    """Ends every engine that was started."""
    for job in jobs:
        job.cancel()
    for outcome in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(outcome, VerifiedVersion):
            await outcome.engine.stop(0)
