"""Administration of a running server: reload, load, unload."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..errors import Forbidden
from .model_config import ModelConfig


class Admin(Protocol):
    """Changes what is served."""

    async def reload(self, models: Sequence[ModelConfig], origin: str) -> None:
        """Replaces the models that are served by these: all of it, or nothing.

        Args:
            models: All models that are to be served from now on.
            origin: The caller, for people.

        Raises:
            ServingError: It cannot be done; what served before still serves.
        """

    async def load(self, name: str) -> None:
        """Loads what should serve of a model, also what was refused before; returns when it serves.

        Raises:
            ServingError: It does not serve, or not all of it; the message gives the reason.
        """

    async def unload(self, name: str) -> None:
        """Takes a model out of service until it is loaded again.

        Raises:
            ServingError: There is none of that name.
        """


def require_inside(models: Sequence[ModelConfig], roots: Sequence[Path]) -> None:
    """Checks that models lie in folders that the operator allows.

    Raises:
        Forbidden: A base path, with its links followed, lies outside every root.
    """
    for model in models:
        path = model.path.resolve()
        if not any(path.is_relative_to(root.resolve()) for root in roots):
            allowed = ", ".join(str(root) for root in roots)
            raise Forbidden(f"base_path {model.path} of model {model.name} is not under --allowed-roots ({allowed})")
