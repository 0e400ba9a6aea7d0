"""The routing table: which version answers for a model."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ..context.rights import current_rights, require_model
from ..errors import InvalidRequest, ServableNotFound, Unavailable
from .change_notifier import Changes
from .model_config import Latest, Policy
from .model_engine import ModelEngine
from .query import ModelRef
from .servable import Servable, ServableState, ServableStatus


class RoutingTable:
    """All versions, the one of each model that answers by default, and labels. It alone changes a version's status.

    Attributes:
        changes: Rings whenever an answer of the table may have changed.
        notices: What the model repository holds and is not served, for people.
    """

    def __init__(self) -> None:
        """An empty table."""
        self.changes = Changes()
        self.notices: tuple[str, ...] = ()
        self._versions: dict[str, dict[int, Servable]] = {}
        self._serving: dict[str, Servable] = {}
        self._served: set[str] = set()
        self._labels: dict[str, Mapping[str, int]] = {}
        self._policies: dict[str, Policy] = {}

    def find(self, ref: ModelRef) -> Servable:
        """The version that answers.

        Raises:
            Forbidden: The caller has no right to the model.
            InvalidRequest: No name, or an unknown label.
            ServableNotFound: No such model or version is in service.
            Unavailable: None is at this moment, while one is loaded in the place of another.
        """
        if not ref.name:
            raise InvalidRequest("ModelSpec has no name specified.")
        require_model(ref.name)
        ref = self._without_version_0(ref) if ref.label is None else self._unlabelled(ref.name, ref.label)
        servable = self._serving.get(ref.name)
        if servable is not None and ref.version is not None and ref.version != servable.version:
            servable = self._versions[ref.name].get(ref.version)
        if servable is None or servable.state is not ServableState.AVAILABLE:
            if self._is_exchanged(ref.name):
                raise Unavailable(f"a version of {ref.name} is loaded in the place of another; try again")
            raise ServableNotFound(f"Servable not found for request: {ref}")
        return servable

    def _is_exchanged(self, name: str) -> bool:
        """Tests whether no version of the model answers because the last one gave way to one that is being loaded."""
        versions = self._versions.get(name, {}).values()
        loading = any(servable.state is ServableState.LOADING for servable in versions)
        return loading and name in self._served and name not in self._serving

    def status(self, ref: ModelRef) -> list[Servable]:
        """Every version of the model, highest first, or the one asked for; labels are ignored.

        Raises:
            Forbidden: The caller has no right to the model.
            ServableNotFound: There is none.
        """
        require_model(ref.name)
        ref = self._without_version_0(ref)
        versions = self._versions.get(ref.name, {})
        if ref.version is not None:
            if ref.version not in versions:
                raise ServableNotFound(f"Could not find version {ref.version} of model {ref.name}")
            return [versions[ref.version]]
        if not versions:
            raise ServableNotFound(f"Could not find any versions of model {ref.name}")
        return [versions[version] for version in sorted(versions, reverse=True)]

    def names(self) -> list[str]:
        """Every model of which a version is known and to which the caller has a right; sorted."""
        return sorted(filter(current_rights().allows, self._versions))

    def knows(self, name: str) -> bool:
        """Tests whether a version of the model is, or was, there."""
        return name in self._versions

    def serving(self, name: str) -> Servable | None:
        """The model's default version: the highest available one."""
        return self._serving.get(name)

    def available(self, name: str, version: int) -> Servable | None:
        """The version of that number, if it is in service."""
        servable = self._versions.get(name, {}).get(version)
        return servable if servable is not None and servable.state is ServableState.AVAILABLE else None

    def labels(self, name: str) -> Mapping[str, int]:
        """The version each label of the model stands for."""
        return self._labels.get(name, {})

    def relabel(self, name: str, labels: Mapping[str, int]) -> None:
        """Replaces the model's labels, all of them at once."""
        self._labels[name] = dict(labels)
        self.changes.ring()

    def policy(self, name: str) -> Policy:
        """The policy that chooses which versions of the model serve."""
        return self._policies.get(name, Latest())

    def set_policy(self, name: str, policy: Policy) -> None:
        """Replaces the policy that chooses which versions of the model serve."""
        self._policies[name] = policy
        self.changes.ring()

    def set_notices(self, notices: Sequence[str]) -> None:
        """Replaces the notices."""
        if self.notices != tuple(notices):
            self.notices = tuple(notices)
            self.changes.ring()

    def begin(self, servable: Servable) -> None:
        """A version is about to be loaded. It is not listed while another of its number serves."""
        versions = self._versions.setdefault(servable.name, {})
        listed = versions.get(servable.version)
        if listed is None or listed.state is not ServableState.AVAILABLE:
            versions[servable.version] = servable
        servable.enter(replace(servable.status, state=ServableState.LOADING))
        self.changes.ring()

    def publish(self, servable: Servable, engine: ModelEngine) -> Servable | None:
        """Puts a version into service; gives the one of its number that it replaces, if there is one."""
        versions = self._versions.setdefault(servable.name, {})
        before = versions.get(servable.version)
        servable.enter(ServableStatus(ServableState.AVAILABLE, reason=engine.info.caveat, engine=engine))
        versions[servable.version] = servable
        self._choose(servable.name)
        is_replaced = before is not None and before is not servable and before.state is ServableState.AVAILABLE
        return before if is_replaced else None

    def note(self, servable: Servable, reason: str) -> None:
        """Replaces the reason in a version's status."""
        servable.enter(replace(servable.status, reason=reason))
        self.changes.ring()

    def unload(self, servable: Servable) -> None:
        """Lets a version take no new callers."""
        servable.enter(replace(servable.status, state=ServableState.UNLOADING))
        self._choose(servable.name)

    def end(self, servable: Servable, failure: str | None = None, cause: str = "", *, note: str = "") -> None:
        """Ends a version.

        Args:
            servable: The version.
            failure: The failure that ended it, if one did.
            cause: The kind of that failure in a word.
            note: For operators, where it was no failure.
        """
        servable.enter(ServableStatus(ServableState.END, failure is not None, cause, failure or note))
        self._choose(servable.name)

    def everything(self) -> Mapping[str, Mapping[int, Servable]]:
        """Every version by model and number, regardless of the caller's rights."""
        return self._versions

    @property
    def served(self) -> frozenset[str]:
        """Models of which a version has answered."""
        return frozenset(self._served)

    def adopt(
        self,
        versions: Mapping[str, Mapping[int, tuple[Servable, ServableStatus]]],
        labels: Mapping[str, Mapping[str, int]],
        served: Collection[str],
        policies: Mapping[str, Policy],
        notices: Sequence[str] = (),
    ) -> None:
        """Becomes a copy of another process's table.

        Args:
            versions: Every version, and the status it has there, by model and number.
            labels: See `labels`, by model.
            served: See `served`.
            policies: See `policy`, by model.
            notices: See `notices`.
        """
        self._served = set(served)
        self._versions = {
            name: {number: servable for number, (servable, _) in entries.items()} for name, entries in versions.items()
        }
        for entries in versions.values():
            for servable, status in entries.values():
                servable.enter(status)
        self._labels = {name: dict(by_label) for name, by_label in labels.items()}
        self._policies = dict(policies)
        self.notices = tuple(notices)
        for name in self._serving.keys() - self._versions.keys():
            del self._serving[name]
        for name in self._versions:
            self._choose(name)
        self.changes.ring()

    def _choose(self, name: str) -> None:
        """Makes the highest available version the model's default."""
        available = [
            servable for servable in self._versions[name].values() if servable.state is ServableState.AVAILABLE
        ]
        self._serving.pop(name, None)
        if available:
            self._serving[name] = max(available, key=lambda servable: servable.version)
            self._served.add(name)
        self.changes.ring()

    def _without_version_0(self, ref: ModelRef) -> ModelRef:
        """The reference; version 0 is the default version where there is no version 0, as OpenVINO's clients use it."""
        return ModelRef(ref.name) if ref.version == 0 and 0 not in self._versions.get(ref.name, {}) else ref

    def _unlabelled(self, name: str, label: str) -> ModelRef:
        if label not in self.labels(name):
            raise InvalidRequest(f"Unrecognized servable version label: {label}")
        return ModelRef(name, self.labels(name)[label])
