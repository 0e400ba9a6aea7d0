"""Decision which versions of a model should serve, and what to do next to get there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..models.model_config import Policy
from .scanner import VersionSnapshot


@dataclass(frozen=True, slots=True)
class Step:
    """The next step towards the versions that should serve.

    Attributes:
        load: The version to load; None where there is nothing better than what serves.
        leave: The versions that serve and need not, once what is to be loaded serves.
    """

    load: VersionSnapshot | None
    leave: frozenset[int]


def next_step(
    listing: Iterable[VersionSnapshot], policy: Policy, loaded: Mapping[int, str], refused: Mapping[int, str]
) -> Step:
    """The next step; the highest version is loaded first.

    A version that failed is passed over until its directory changes, so that a server started beside a spoiled
    newest version serves the same one as a server that was running when it came. What serves is left only for a
    version that serves, so that an empty listing ends nothing.

    Args:
        listing: What is there.
        policy: Which of it should serve.
        loaded: The digest of each version that serves.
        refused: The fingerprint under which each failed version failed.
    """
    wanted = eligible(listing, policy, loaded, refused)
    load = next((snapshot for snapshot in wanted if is_loadable(snapshot, loaded, refused)), None)
    keep = {snapshot.version for snapshot in wanted}
    return Step(load, frozenset(loaded.keys() - keep if keep else ()))


def eligible(
    listing: Iterable[VersionSnapshot], policy: Policy, loaded: Mapping[int, str], refused: Mapping[int, str]
) -> list[VersionSnapshot]:
    """The versions that should serve, of those that serve or may be tried; highest first."""
    usable = {
        snapshot.version: snapshot
        for snapshot in listing
        if snapshot.version in loaded or is_loadable(snapshot, loaded, refused)
    }
    return [usable[version] for version in sorted(policy.choose(usable.keys()), reverse=True)]


def is_loadable(snapshot: VersionSnapshot, loaded: Mapping[int, str], refused: Mapping[int, str]) -> bool:
    """Tests whether a version may be loaded and is not the one that serves."""
    return (
        snapshot.ready
        and refused.get(snapshot.version) != snapshot.fingerprint
        and loaded.get(snapshot.version) != snapshot.digest
    )
