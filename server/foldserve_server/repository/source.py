"""Source of models: the folders that hold them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from foldserve_contract.repository import models, passed_over

from ..models.model_config import ModelConfig


class ModelSource(Protocol):
    """Source of the models that are to be served."""

    def configs(self) -> Mapping[str, ModelConfig]:
        """Every model that is to be served.

        Raises:
            OSError: They cannot be listed now.
        """

    def notices(self) -> list[str]:
        """What is there beside the models and is not served, a line each.

        Raises:
            OSError: It cannot be listed now.
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

    def configs(self) -> Mapping[str, ModelConfig]:
        """See `ModelSource.configs`."""
        if self.single and self.only is not None:
            return {self.only: ModelConfig(self.only, self.path)}
        names = (name for name in models(self.path) if self.only in (None, name))
        return {name: ModelConfig(name, self.path / name) for name in names}

    def notices(self) -> list[str]:
        """See `ModelSource.notices`."""
        if self.single or self.only is not None:
            return []
        return [f"{path} is passed over: {reason}" for path, reason in passed_over(self.path).items()]


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

    def configs(self) -> Mapping[str, ModelConfig]:
        """See `ModelSource.configs`."""
        return {model.name: model for model in self.models}

    def notices(self) -> list[str]:
        """See `ModelSource.notices`: what is not listed is not looked at."""
        return []
