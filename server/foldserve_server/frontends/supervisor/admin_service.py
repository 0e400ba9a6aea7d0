"""Where the supervisor answers what callers of front ends want changed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context

from ...context.rights import Rights, set_rights
from ...errors import EngineFailed, ReloadFailed, ServingError, Unavailable
from ...models.admin import Admin
from ..admin_requests import perform
from ..messages import AdminReply, AdminRequest, CancelAdminRequest
from .front_end_process import FrontEndProcess

log = logging.getLogger(__name__)


class AdminService:
    """Answers each question once, unless whoever asked has left."""

    def __init__(self, admin: Admin, settled: Callable[[], Awaitable[None]]) -> None:
        """Changes are made by the admin, and answered when they are settled."""
        self._admin = admin
        self._settled = settled
        self._open: dict[tuple[int, int], asyncio.Task[None]] = {}

    def ask(self, resident: FrontEndProcess, asked: AdminRequest) -> None:
        """A front end asks."""
        key = (resident.front, asked.number)
        task = asyncio.get_running_loop().create_task(self._answer(resident, asked), context=Context())
        self._open[key] = task
        task.add_done_callback(lambda _: self._open.pop(key, None))

    def withdraw(self, resident: FrontEndProcess, withdrawn: CancelAdminRequest) -> None:
        """The caller has left: what was begun is taken back."""
        task = self._open.get((resident.front, withdrawn.number))
        if task is not None:
            task.cancel()

    def forget(self, resident: FrontEndProcess) -> None:
        """The front end is gone, and all its callers with it."""
        for (front, _), task in list(self._open.items()):
            if front == resident.front:
                task.cancel()

    async def _answer(self, resident: FrontEndProcess, asked: AdminRequest) -> None:
        models = None if asked.models is None else frozenset(asked.models)
        set_rights(Rights(asked.holder, models, asked.admin))
        try:
            await perform(self._admin, asked.verb, asked.content)
            await self._settled()
        except ServingError as error:
            resident.post.send(_refusal(asked.number, error))
        except Exception:
            log.exception("%s, which a caller asked for, failed", asked.verb)
            resident.post.send(_refusal(asked.number, EngineFailed(asked.verb)))
        else:
            resident.post.send(AdminReply(asked.number))


def _refusal(number: int, error: ServingError) -> AdminReply:
    return AdminReply(
        number,
        type(error).__name__,
        str(error),
        error.reasons if isinstance(error, ReloadFailed) else None,
        error.retry_after_ms if isinstance(error, Unavailable) else None,
    )
