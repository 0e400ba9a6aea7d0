"""Model, version and signature that a call is for."""

from dataclasses import dataclass, replace
from typing import Any

from foldserve_contract.signature import DEFAULT_SIGNATURE

from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ModelAddress:
    """The target of a prediction.

    Attributes:
        model: The model's name.
        version: A number, a label such as "canary", or None for the server's default.
        signature: The entry point.
    """

    model: str
    version: int | str | None = None
    signature: str = DEFAULT_SIGNATURE

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise ConfigurationError(f"expected the model's name, received {self.model!r}")
        if isinstance(self.version, bool) or not isinstance(self.version, int | str | None):
            raise ConfigurationError(f"expected a version's number or label, received {self.version!r}")

    @property
    def pinned(self) -> bool:
        """True if the address names one version by its number."""
        return isinstance(self.version, int)

    def at(self, version: int) -> "ModelAddress":
        """The same model and signature at another version."""
        return replace(self, version=version)

    def write(self, spec: Any) -> None:
        """Fills a ModelSpec."""
        spec.name = self.model
        spec.signature_name = self.signature
        if isinstance(self.version, int):
            spec.version.value = self.version
        elif isinstance(self.version, str):
            spec.version_label = self.version

    def __str__(self) -> str:
        return self.model if self.version is None else f"{self.model}/{self.version}"
