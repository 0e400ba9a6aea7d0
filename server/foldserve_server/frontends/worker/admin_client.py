"""What callers of a front end want changed, put before the supervisor."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from ...context.rights import current_rights
from ...models.model_config import ModelConfig
from .. import admin_requests
from ..messages import AdminReply, AdminRequest, CancelAdminRequest


class AdminClient:
    """A `models.admin.Admin` that asks the supervisor, which has the last word on rights."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        """Questions are sent so."""
        self._send = send
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[None]] = {}

    async def reload(self, models: Sequence[ModelConfig], origin: str) -> None:
        """See `models.admin.Admin`. Cancelling it takes the reload back."""
        await self._ask(admin_requests.RELOAD, admin_requests.reload(models, origin))

    async def load(self, name: str) -> None:
        """See `models.admin.Admin`."""
        await self._ask(admin_requests.LOAD, admin_requests.named(name))

    async def unload(self, name: str) -> None:
        """See `models.admin.Admin`."""
        await self._ask(admin_requests.UNLOAD, admin_requests.named(name))

    def answered(self, answer: AdminReply) -> None:
        """The supervisor has answered."""
        waiting = self._open.pop(answer.number, None)
        if waiting is None or waiting.done():
            return
        if answer.error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(admin_requests.failure(answer))

    async def _ask(self, verb: str, content: str) -> None:
        granted = current_rights()
        number = next(self._numbers)
        waiting = self._open[number] = asyncio.get_running_loop().create_future()
        models = None if granted.models is None else tuple(sorted(granted.models))
        self._send(AdminRequest(number, verb, content, granted.holder, models, granted.admin))
        try:
            await waiting
        finally:
            if self._open.pop(number, None) is not None:  # whoever asked has left
                self._send(CancelAdminRequest(number))
