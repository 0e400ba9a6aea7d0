"""Source of models: the folders that hold them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from foldserve_contract.repository import list_repository

from ..models.model_config import ModelConfig


@dataclass(frozen=True, slots=True)
class ModelListing:
    """Models that are to be served.

    Attributes:
        configs: By name.
        notices: Entries beside the models that are not served, a line each.
    """

    configs: Mapping[str, ModelConfig]
    notices: tuple[str, ...] = ()


class ModelSource(Protocol):
    """Source of the models that are to be served."""

    def read(self) -> ModelListing:
        """Reads which models are to be served.

        Raises:
            OSError: They cannot be listed now.
        """


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A repository of models, or the folder of a single one.

    Attributes:
        path: `MODELS_DIR`, or a model's own folder where `single` is set.
        only: The one model that is served; None for all.
        single: Whether `path` holds versions rather than models, as TensorFlow Serving's `--model_base_path`.
    """

    path: Path
    only: str | None = None
    single: bool = False

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> ModelListing:
        """See `ModelSource.read`."""
        if self.single and self.only is not None:
            return ModelListing({self.only: ModelConfig(self.only, self.path)})
        listing = list_repository(self.path)
        names = (name for name in listing.models if self.only in (None, name))
        configs = {name: ModelConfig(name, self.path / name) for name in names}
        if self.single or self.only is not None:
            return ModelListing(configs)
        notices = (f"{path} is passed over: {reason}" for path, reason in listing.passed_over.items())
        return ModelListing(configs, tuple(notices))


@dataclass(frozen=True, slots=True)
class ListedSource:
    """Models that are listed one by one.

    Attributes:
        origin: Where they are listed, for people.
    """

    models: tuple[ModelConfig, ...]
    origin: str

    def __str__(self) -> str:
        return self.origin

    def read(self) -> ModelListing:
        """See `ModelSource.read`: what is beside the models is not looked at."""
        return ModelListing({model.name: model for model in self.models})
