"""The routing table: which version answers for a model."""

from collections.abc import Collection, Mapping

from ..context.rights import current_rights, require_model
from ..context.span import Tracer, untraced
from ..errors import InvalidRequest, ServableNotFound, Unavailable
from ..stats.telemetry import Telemetry
from .changes import Changes
from .engine import ModelEngine
from .model_config import Latest, Policy
from .query import ModelRef
from .servable import Servable, ServableState


class Table:
    """Every version known, the one of each model that answers by default, and what versions are called.

    Attributes:
        changes: Rings whenever an answer of the table may have changed.
        telemetry: Where is counted what becomes of versions and requests.
        tracer: Makes a span of every prediction.
    """

    def __init__(self, telemetry: Telemetry | None = None) -> None:
        """An empty table, which counts there."""
        self.telemetry = telemetry or Telemetry()
        self.tracer: Tracer = untraced
        self.changes = Changes()
        self._versions: dict[str, dict[int, Servable]] = {}
        self._serving: dict[str, Servable] = {}
        self._served: set[str] = set()
        self._labels: dict[str, Mapping[str, int]] = {}
        self._policies: dict[str, Policy] = {}

    def find(self, ref: ModelRef) -> Servable:
        """The version that answers.

        Raises:
            Forbidden: Whoever asks has no right to the model.
            InvalidRequest: No name, or a label that stands for nothing.
            ServableNotFound: No such model or version is in service.
            Unavailable: None is at this moment, while one is loaded in the place of another.
        """
        if not ref.name:
            raise InvalidRequest("ModelSpec has no name specified.")
        require_model(ref.name)
        ref = self._meant(ref) if ref.label is None else self._unlabelled(ref.name, ref.label)
        found = self._serving.get(ref.name)
        if found is not None and ref.version is not None and ref.version != found.version:
            found = self._versions[ref.name].get(ref.version)
        if found is None or found.state is not ServableState.AVAILABLE:
            if self._is_exchanged(ref.name):
                raise Unavailable(f"a version of {ref.name} is loaded in the place of another; try again")
            raise ServableNotFound(f"Servable not found for request: {ref}")
        return found

    def _is_exchanged(self, name: str) -> bool:
        """Whether nothing of the model answers because what did gave way to what is being loaded."""
        loading = any(one.state is ServableState.LOADING for one in self._versions.get(name, {}).values())
        return loading and name in self._served and name not in self._serving

    def status(self, ref: ModelRef) -> list[Servable]:
        """Every version of the model, highest first, or the one asked for; labels count for nothing here.

        Raises:
            Forbidden: Whoever asks has no right to the model.
            ServableNotFound: There is none.
        """
        require_model(ref.name)
        ref = self._meant(ref)
        versions = self._versions.get(ref.name, {})
        if ref.version is not None:
            if ref.version not in versions:
                raise ServableNotFound(f"Could not find version {ref.version} of model {ref.name}")
            return [versions[ref.version]]
        if not versions:
            raise ServableNotFound(f"Could not find any versions of model {ref.name}")
        return [versions[version] for version in sorted(versions, reverse=True)]

    def names(self) -> list[str]:
        """Every model of which a version is known, and which whoever asks may ask for; sorted."""
        return sorted(filter(current_rights().allows, self._versions))

    def knows(self, name: str) -> bool:
        """Whether a version of the model is, or was, there."""
        return name in self._versions

    def serving(self, name: str) -> Servable | None:
        """The version that answers where none is asked for: the highest available one."""
        return self._serving.get(name)

    def available(self, name: str, version: int) -> Servable | None:
        """The version of that number, if it is in service."""
        found = self._versions.get(name, {}).get(version)
        return found if found is not None and found.state is ServableState.AVAILABLE else None

    def labels(self, name: str) -> Mapping[str, int]:
        """The version each label of the model stands for."""
        return self._labels.get(name, {})

    def relabel(self, name: str, labels: Mapping[str, int]) -> None:
        """From now on these are the model's labels, and no other; all of them at once."""
        self._labels[name] = dict(labels)
        self.changes.ring()

    def policy(self, name: str) -> Policy:
        """Which versions of the model are to serve."""
        return self._policies.get(name, Latest())

    def want(self, name: str, policy: Policy) -> None:
        """From now on these versions of the model are to serve."""
        self._policies[name] = policy
        self.changes.ring()

    def begin(self, servable: Servable) -> None:
        """A version is about to be loaded. It is not listed while another of its number serves."""
        known = self._versions.setdefault(servable.name, {})
        listed = known.get(servable.version)
        if listed is None or listed.state is not ServableState.AVAILABLE:
            known[servable.version] = servable
        servable.load()
        self.changes.ring()

    def publish(self, servable: Servable, engine: ModelEngine) -> Servable | None:
        """From now on this version answers; gives the one of its number that did before, if another did."""
        known = self._versions.setdefault(servable.name, {})
        before = known.get(servable.version)
        servable.serve(engine)
        known[servable.version] = servable
        self._choose(servable.name)
        return (
            before
            if before is not servable and before is not None and before.state is ServableState.AVAILABLE
            else None
        )

    def unload(self, servable: Servable) -> None:
        """The version takes no new callers."""
        servable.unload()
        self._choose(servable.name)

    def end(self, servable: Servable, failure: str | None = None, cause: str = "") -> None:
        """The version is over; with the failure that ended it, and its kind in a word."""
        servable.end(failure, cause)
        if cause:
            self.telemetry.refused(servable.name, cause)
        self._choose(servable.name)

    def everything(self) -> Mapping[str, Mapping[int, Servable]]:
        """Every version by model and number, whoever asks."""
        return self._versions

    @property
    def served(self) -> frozenset[str]:
        """Models of which a version has answered."""
        return frozenset(self._served)

    def adopt(
        self,
        versions: Mapping[str, Mapping[int, Servable]],
        labels: Mapping[str, Mapping[str, int]],
        served: Collection[str],
        policies: Mapping[str, Policy],
    ) -> None:
        """Takes over another table: versions, labels, of which models a version has answered, and policies."""
        self._served = set(served)
        self._versions = {name: dict(known) for name, known in versions.items()}
        self._labels = {name: dict(known) for name, known in labels.items()}
        self._policies = dict(policies)
        for name in self._serving.keys() - self._versions.keys():
            del self._serving[name]
        for name in self._versions:
            self._choose(name)
        self.changes.ring()

    def _choose(self, name: str) -> None:
        """The highest available version answers for the model."""
        available = [
            servable for servable in self._versions[name].values() if servable.state is ServableState.AVAILABLE
        ]
        self._serving.pop(name, None)
        if available:
            self._serving[name] = max(available, key=lambda servable: servable.version)
            self._served.add(name)
        self.changes.ring()

    def _meant(self, ref: ModelRef) -> ModelRef:
        """The same; 0 stands for no version where there is no such one: OpenVINO Model Server's clients say it so."""
        return ModelRef(ref.name) if ref.version == 0 and 0 not in self._versions.get(ref.name, {}) else ref

    def _unlabelled(self, name: str, label: str) -> ModelRef:
        if label not in self.labels(name):
            raise InvalidRequest(f"Unrecognized servable version label: {label}")
        return ModelRef(name, self.labels(name)[label])
