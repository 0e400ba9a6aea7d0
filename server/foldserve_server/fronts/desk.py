"""Where the supervisor answers what callers of front ends want changed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context

from ..core.access import Rights, enter
from ..core.admin import Admin
from ..core.errors import EngineFailed, ReloadFailed, ServingError, Unavailable
from .documents import Answered, Asked, Withdrawn
from .requests import perform
from .seat import Resident

log = logging.getLogger(__name__)


class Desk:
    """Answers each question once, unless whoever asked has left."""

    def __init__(self, admin: Admin, settled: Callable[[], Awaitable[None]]) -> None:
        """Changes are made by the admin, and answered when they are settled."""
        self._admin = admin
        self._settled = settled
        self._open: dict[tuple[int, int], asyncio.Task[None]] = {}

    def ask(self, resident: Resident, asked: Asked) -> None:
        """A front end asks."""
        key = (resident.front, asked.number)
        task = asyncio.get_running_loop().create_task(self._answer(resident, asked), context=Context())
        self._open[key] = task
        task.add_done_callback(lambda _: self._open.pop(key, None))

    def withdraw(self, resident: Resident, withdrawn: Withdrawn) -> None:
        """The caller has left: what was begun is taken back."""
        task = self._open.get((resident.front, withdrawn.number))
        if task is not None:
            task.cancel()

    def forget(self, resident: Resident) -> None:
        """The front end is gone, and all its callers with it."""
        for (front, _), task in list(self._open.items()):
            if front == resident.front:
                task.cancel()

    async def _answer(self, resident: Resident, asked: Asked) -> None:
        models = None if asked.models is None else frozenset(asked.models)
        enter(Rights(asked.holder, models, asked.admin))
        try:
            await perform(self._admin, asked.verb, asked.content)
            await self._settled()
        except ServingError as error:
            resident.post.send(_refusal(asked.number, error))
        except Exception:
            log.exception("%s, which a caller asked for, failed", asked.verb)
            resident.post.send(_refusal(asked.number, EngineFailed(asked.verb)))
        else:
            resident.post.send(Answered(asked.number))


def _refusal(number: int, error: ServingError) -> Answered:
    return Answered(
        number,
        type(error).__name__,
        str(error),
        error.reasons if isinstance(error, ReloadFailed) else None,
        error.retry_after_ms if isinstance(error, Unavailable) else None,
    )
