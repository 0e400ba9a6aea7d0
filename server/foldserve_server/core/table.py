"""The routing table: which version answers for a model."""

from .changes import Changes
from .engine import Engine
from .errors import InvalidRequest, ServableNotFound
from .query import ModelRef
from .servable import Servable, State


class Table:
    """Every version known, and the one of each model that serves.

    Attributes:
        changes: Rings whenever an answer of the table may have changed.
    """

    def __init__(self) -> None:
        self.changes = Changes()
        self._versions: dict[str, dict[int, Servable]] = {}
        self._serving: dict[str, Servable] = {}

    def find(self, ref: ModelRef) -> Servable:
        """The version that answers.

        Raises:
            InvalidRequest: No name, or a label, which nothing is known under.
            ServableNotFound: No such model or version is in service.
        """
        if not ref.name:
            raise InvalidRequest("ModelSpec has no name specified.")
        if ref.label is not None:
            raise InvalidRequest(f"Unrecognized servable version label: {ref.label}")
        found = self._serving.get(ref.name)
        if found is not None and ref.version is not None and ref.version != found.version:
            found = self._versions[ref.name].get(ref.version)
        if found is None or found.state is not State.AVAILABLE:
            raise ServableNotFound(f"Servable not found for request: {ref}")
        return found

    def status(self, ref: ModelRef) -> list[Servable]:
        """Every version of the model, highest first, or the one asked for; labels count for nothing here.

        Raises:
            ServableNotFound: There is none.
        """
        versions = self._versions.get(ref.name, {})
        if ref.version is not None:
            if ref.version not in versions:
                raise ServableNotFound(f"Could not find version {ref.version} of model {ref.name}")
            return [versions[ref.version]]
        if not versions:
            raise ServableNotFound(f"Could not find any versions of model {ref.name}")
        return [versions[version] for version in sorted(versions, reverse=True)]

    def names(self) -> list[str]:
        """Every model of which a version is known, sorted."""
        return sorted(self._versions)

    def serving(self, name: str) -> Servable | None:
        """The version that answers for the model, if one does."""
        return self._serving.get(name)

    def begin(self, servable: Servable) -> None:
        """A version is about to be loaded. It is not listed while another of its number serves."""
        known = self._versions.setdefault(servable.name, {})
        listed = known.get(servable.version)
        if listed is None or listed.state is not State.AVAILABLE:
            known[servable.version] = servable
        servable.load()
        self.changes.ring()

    def publish(self, servable: Servable, engine: Engine) -> Servable | None:
        """From now on this version answers for its model; gives the one that did before."""
        servable.serve(engine)
        before = self._serving.get(servable.name)
        self._versions[servable.name][servable.version] = servable
        self._serving[servable.name] = servable
        self.changes.ring()
        return before

    def unload(self, servable: Servable) -> None:
        """The version takes no new callers."""
        if self._serving.get(servable.name) is servable:
            del self._serving[servable.name]
        servable.unload()
        self.changes.ring()

    def end(self, servable: Servable, failure: str | None = None) -> None:
        """The version is over."""
        if self._serving.get(servable.name) is servable:
            del self._serving[servable.name]
        servable.end(failure)
        self.changes.ring()
