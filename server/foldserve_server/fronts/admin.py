"""What callers of a front end want changed, put before the supervisor."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from ..core import access
from ..core.model_config import ModelConfig
from . import requests
from .documents import Answered, Asked, Withdrawn


class SupervisorAdmin:
    """A `core.admin.Admin` that asks the supervisor, which has the last word on rights."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        """Questions are sent so."""
        self._send = send
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[None]] = {}

    async def reload(self, models: Sequence[ModelConfig], origin: str) -> None:
        """See `core.admin.Admin`. Cancelling it takes the reload back."""
        await self._ask(requests.RELOAD, requests.reload(models, origin))

    async def load(self, name: str) -> None:
        """See `core.admin.Admin`."""
        await self._ask(requests.LOAD, requests.named(name))

    async def unload(self, name: str) -> None:
        """See `core.admin.Admin`."""
        await self._ask(requests.UNLOAD, requests.named(name))

    def answered(self, answer: Answered) -> None:
        """The supervisor has answered."""
        waiting = self._open.pop(answer.number, None)
        if waiting is None or waiting.done():
            return
        if answer.error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(requests.failure(answer))

    async def _ask(self, verb: str, content: str) -> None:
        rights = access.current()
        number = next(self._numbers)
        waiting = self._open[number] = asyncio.get_running_loop().create_future()
        models = None if rights.models is None else tuple(sorted(rights.models))
        self._send(Asked(number, verb, content, rights.holder, models, rights.admin))
        try:
            await waiting
        finally:
            if self._open.pop(number, None) is not None:  # whoever asked has left
                self._send(Withdrawn(number))
