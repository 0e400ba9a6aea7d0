"""Administration requests of callers, within their rights."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextvars import Context
from pathlib import Path

from ..context.rights import current_rights, require_admin, require_model
from ..errors import ServingError
from ..models.admin import require_inside
from ..models.model_config import ModelConfig
from .config_reload import Reloader
from .load_unload_api import LoadUnloadApi

log = logging.getLogger(__name__)


class AuthorizedAdmin:
    """A `models.admin.Admin` that checks the callers' rights and the folders that the operator allows."""

    def __init__(self, reloader: Reloader, load_api: LoadUnloadApi, roots: Sequence[Path]) -> None:
        self._reloader = reloader
        self._load_api = load_api
        self._roots = roots

    async def reload(self, models: Sequence[ModelConfig], origin: str) -> None:
        """See `models.admin.Admin`. Cancelling it takes the reload back.

        Raises:
            Forbidden: The caller may not change what is served, or not to this, or has no right to a model that would
                change or end.
        """
        require_admin()
        require_inside(models, self._roots)
        try:
            await _apart(self._reloader.reload(models, origin, current_rights()))
        except ServingError as error:
            log.error("%s: nothing was changed: %s", origin, error)
            raise

    async def load(self, name: str) -> None:
        """See `models.admin.Admin`. Cancelling it leaves what is being loaded to be loaded.

        Raises:
            Forbidden: The caller may not change what is served, or not this.
        """
        _require(name)
        log.info("%s asks to load model %s", current_rights().holder, name)
        await _apart(self._load_api.load(name))

    async def unload(self, name: str) -> None:
        """See `models.admin.Admin`.

        Raises:
            Forbidden: The caller may not change what is served, or not this.
        """
        _require(name)
        log.info("%s asks to unload model %s", current_rights().holder, name)
        await _apart(self._load_api.unload(name))


def _require(name: str) -> None:
    require_admin()
    require_model(name)


async def _apart(work: Coroutine[None, None, None]) -> None:
    """Runs work in a task with an empty context: what it starts outlives the call and does not have its rights."""
    await asyncio.create_task(work, context=Context())
