"""Configuration of a model: its folder, the policy for its versions, and their labels."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Latest:
    """The highest versions."""

    count: int = 1

    def choose(self, versions: Collection[int]) -> frozenset[int]:
        """The versions that should serve."""
        return frozenset(sorted(versions, reverse=True)[: self.count])


@dataclass(frozen=True, slots=True)
class All:
    """Every version there is."""

    def choose(self, versions: Collection[int]) -> frozenset[int]:
        """See `Latest.choose`."""
        return frozenset(versions)


@dataclass(frozen=True, slots=True)
class Specific:
    """The versions named, and no other."""

    versions: frozenset[int]

    def choose(self, versions: Collection[int]) -> frozenset[int]:
        """See `Latest.choose`."""
        return self.versions & frozenset(versions)


Policy = Latest | All | Specific


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model that is to be served.

    Attributes:
        path: Its folder, which holds the versions.
        policy: Chooses the versions that serve.
        labels: Names that stand for versions, such as `stable` and `canary`.
    """

    name: str
    path: Path
    policy: Policy = field(default_factory=Latest)
    labels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
