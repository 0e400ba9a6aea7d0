"""What may be asked from outside."""

from collections.abc import Sequence
from pathlib import Path

from ..core.access import require_admin
from ..core.admin import require_inside
from ..core.model_config import ModelConfig
from .reload import Reloader


class RemoteAdmin:
    """A `core.admin.Admin` that keeps callers to the folders the operator allows."""

    def __init__(self, reloader: Reloader, roots: Sequence[Path]) -> None:
        self._reloader = reloader
        self._roots = roots

    async def reload(self, models: Sequence[ModelConfig], origin: str) -> None:
        """See `core.admin.Admin`."""
        require_admin()
        require_inside(models, self._roots)
        await self._reloader.reload(models, origin)
