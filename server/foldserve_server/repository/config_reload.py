"""Reload of the configuration: another set of models, all of it or nothing.

First every version that the new set needs and that does not serve yet is loaded aside, through the gate, while all
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
from ..system.stall_timer import wait_while_running
from .aspired_versions import eligible, is_loadable
from .manager_context import VerifiedVersion
from .managers import ModelManagers
from .model_manager import ModelManager
from .scanner import VersionSnapshot
from .source import ListedSource
from .watcher import Watcher

log = logging.getLogger(__name__)
Listing = tuple[VersionSnapshot, ...]


@dataclass(frozen=True, slots=True)
class _ModelPlan:
    """Model of the new set: the versions that will serve, and those of them that are to be loaded first."""

    config: ModelConfig
    serve: frozenset[int]
    load: Listing


class Reloader:
    """Puts one set of models in the place of another; one reload at a time.

    Args:
        watcher: Scans the models' folders.
        managers: The models that serve.
        timeout_s: Seconds that loading may take.
    """

    def __init__(self, watcher: Watcher, managers: ModelManagers, timeout_s: float) -> None:
        self._watcher = watcher
        self._managers = managers
        self._timeout_s = timeout_s
        self._busy = asyncio.Lock()

    async def reload(self, models: Sequence[ModelConfig], origin: str, rights: Rights = ALL_RIGHTS) -> None:
        """Returns when the new set serves. Cancelling it, or its failure, leaves everything as it was.

        Args:
            models: All models that are to be served from now on.
            origin: The caller, for people.
            rights: The models that the caller may change.

        Raises:
            Forbidden: A model would change, or end, to which there is no right.
            NotPossible: A label would stand for a version that will not serve.
            ReloadFailed: A version could not be loaded, or not in time.
        """
        if not models:
            log.info("%s asks for no model at all: nothing is changed", origin)
            return
        async with self._busy:
            self._require_rights(models, rights)
            source = ListedSource(tuple(models), origin)
            listings = await self._watcher.survey(source)
            plans = [_plan(model, listings.get(model.name, ()), self._managers.get(model.name)) for model in models]
            for plan in plans:
                _check_labels(plan)
            verified = await self._load(plans)
            self._watcher.source = source
            self._managers.replace(models, listings, verified)
            log.info("%s: these models are served now: %s", source, ", ".join(sorted(verified)))

    async def close(self, grace_s: float) -> None:
        """Returns when the models that were replaced are gone."""
        await self._managers.retired(grace_s)

    def _require_rights(self, models: Sequence[ModelConfig], rights: Rights) -> None:
        """A model that stays as it is needs no right; one that would end is not named to a caller without one."""
        for model in models:
            manager = self._managers.get(model.name)
            same = manager is not None and manager.config == model and not manager.suspended
            if not same and not rights.allows(model.name):
                raise Forbidden(f"this token gives no right to change model {model.name!r}")
        if not all(map(rights.allows, self._managers.names() - {model.name for model in models})):
            raise Forbidden(
                "this token gives no right to a model that would not be served any more; name every one that is served"
            )

    async def _load(self, plans: Sequence[_ModelPlan]) -> Mapping[str, tuple[VerifiedVersion, ...]]:
        """Loads everything that is to be loaded, by the name of its model; or nothing is left of it."""
        jobs = {
            (plan.config.name, snapshot.version): asyncio.ensure_future(self._verify(plan.config.name, snapshot))
            for plan in plans
            for snapshot in plan.load
        }
        try:
            if jobs:
                await wait_while_running(jobs.values(), self._timeout_s, asyncio.FIRST_EXCEPTION)
            _require_all({f"{name} version: {version}": job for (name, version), job in jobs.items()})
        except BaseException:
            await asyncio.shield(_give_up(jobs.values()))
            raise
        return {
            plan.config.name: tuple(jobs[plan.config.name, snapshot.version].result() for snapshot in plan.load)
            for plan in plans
        }

    async def _verify(self, name: str, snapshot: VersionSnapshot) -> VerifiedVersion:
        """Loads one version, through the gate."""
        context = self._managers.context
        shortage = context.memory_shortage(name, snapshot.path)
        if shortage is not None:
            raise LoadFailed(shortage)
        try:
            return VerifiedVersion(snapshot, await context.start(name, snapshot.path))
        except LoadFailed:
            context.metric_counters.not_loaded(name, str(snapshot.path))
            raise


def _plan(config: ModelConfig, listing: Listing, manager: ModelManager | None) -> _ModelPlan:
    """The versions of one model that will serve, and those to be loaded first."""
    same_place = manager is not None and manager.config.path == config.path
    before = manager if same_place else None
    if before is not None and before.config.policy == config.policy and not before.suspended:
        return _ModelPlan(config, frozenset(before.loaded), ())
    loaded = {} if before is None else before.loaded
    # versions that are named one by one are tried again, also those that were refused before
    refused = {} if before is None or isinstance(config.policy, Specific) else before.refused
    wanted = eligible(listing, config.policy, loaded, refused)
    _require_wanted(config, wanted)
    serve = frozenset(snapshot.version for snapshot in wanted)
    return _ModelPlan(config, serve, tuple(snapshot for snapshot in wanted if is_loadable(snapshot, loaded, refused)))


def _require_wanted(config: ModelConfig, wanted: Sequence[VersionSnapshot]) -> None:
    """Raises ReloadFailed unless there is a version, and every one that is named is there."""
    serve = {snapshot.version for snapshot in wanted}
    named = config.policy.versions if isinstance(config.policy, Specific) else serve
    if not wanted or named - serve:
        missing = ", ".join(str(version) for version in sorted(named - serve))
        which = f"version {missing} is not there, or is not a bundle," if missing else "no version is there"
        raise ReloadFailed({config.name: f"{which} in {config.path}"})


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
