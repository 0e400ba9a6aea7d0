"""Which folders hold which models."""

from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.repository import models


@dataclass(frozen=True, slots=True)
class Source:
    """A repository of models, or the folder of a single one.

    Attributes:
        path: `MODELS_DIR`, or a model's own folder where `single` is set.
        only: The one model that is served; None for all.
        single: Whether `path` holds versions rather than models, as TensorFlow Serving's `--model_base_path`.
    """

    path: Path
    only: str | None = None
    single: bool = False

    def folders(self) -> dict[str, Path]:
        """The folder of each model that is to be served.

        Raises:
            OSError: The repository cannot be read now.
        """
        if self.single and self.only is not None:
            return {self.only: self.path}
        return {name: self.path / name for name in models(self.path) if self.only in (None, name)}
