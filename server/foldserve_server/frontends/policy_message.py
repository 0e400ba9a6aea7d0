"""Which versions of a model are to serve, as it crosses between front ends and the supervisor."""

from dataclasses import dataclass

from ..models.model_config import All, Latest, Policy, Specific


@dataclass(frozen=True, slots=True)
class PolicyMessage:
    """A `models.model_config.Policy`: all versions where neither is given."""

    latest: int | None = None
    specific: tuple[int, ...] | None = None

    @classmethod
    def of(cls, policy: Policy) -> "PolicyMessage":
        """The policy, to be sent."""
        return cls(
            policy.count if isinstance(policy, Latest) else None,
            tuple(sorted(policy.versions)) if isinstance(policy, Specific) else None,
        )

    @property
    def policy(self) -> Policy:
        """The policy, as it was."""
        if self.latest is not None:
            return Latest(self.latest)
        return All() if self.specific is None else Specific(frozenset(self.specific))
