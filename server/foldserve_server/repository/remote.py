"""What may be asked from outside."""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from pathlib import Path

from ..core.access import require_admin
from ..core.admin import require_inside
from ..core.model_config import ModelConfig
from .reload import Reloader


class RemoteAdmin:
    """A `core.admin.Admin` that keeps callers to their rights and to the folders the operator allows."""

    def __init__(self, reloader: Reloader, roots: Sequence[Path]) -> None:
        self._reloader = reloader
        self._roots = roots

    async def reload(self, models: Sequence[ModelConfig], origin: str) -> None:
        """See `core.admin.Admin`. Cancelling it takes the reload back.

        Raises:
            Forbidden: The caller may not change what is served, or not to this.
        """
        require_admin()
        require_inside(models, self._roots)
        reloading = self._reloader.reload(models, origin)
        await asyncio.create_task(reloading, context=Context())  # what is started outlives the call, and is not its own
