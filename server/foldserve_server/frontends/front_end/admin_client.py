"""Client of the supervisor's administration: carries the requests of a front end's callers to it."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from ...context.rights import current_rights
from ...models.model_config import ModelConfig
from ..admin_messages import (
    AdminReply,
    AdminRequest,
    CancelAdminRequest,
    LoadRequest,
    ReloadRequest,
    UnloadRequest,
)


class AdminClient:
    """A `models.admin.Admin` that forwards to the supervisor, which checks the caller's rights."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        """Messages are sent by that function."""
        self._send = send
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[None]] = {}

    async def reload(self, models: Sequence[ModelConfig], origin: str) -> None:
        """See `models.admin.Admin`. Cancelling it takes the reload back."""
        await self._request(ReloadRequest(tuple(models), origin))

    async def load(self, name: str) -> None:
        """See `models.admin.Admin`."""
        await self._request(LoadRequest(name))

    async def unload(self, name: str) -> None:
        """See `models.admin.Admin`."""
        await self._request(UnloadRequest(name))

    def on_reply(self, reply: AdminReply) -> None:
        """Settles the request that the supervisor has answered."""
        future = self._pending.pop(reply.number, None)
        if future is None or future.done():
            return
        error = reply.exception
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    async def _request(self, request: ReloadRequest | LoadRequest | UnloadRequest) -> None:
        number = next(self._numbers)
        future = self._pending[number] = asyncio.get_running_loop().create_future()
        self._send(AdminRequest(number, request, current_rights()))
        try:
            await future
        finally:
            if self._pending.pop(number, None) is not None:  # the caller has left
                self._send(CancelAdminRequest(number))
