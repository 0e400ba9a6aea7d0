"""Administration requests of the front ends' callers, carried out by the supervisor."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context

from ...context.rights import set_rights
from ...errors import EngineFailed, ServingError
from ...models.admin import Admin
from ..admin_messages import AdminReply, AdminRequest, CancelAdminRequest, LoadRequest, ReloadRequest
from .front_end_process import FrontEndProcess

log = logging.getLogger(__name__)


class AdminService:
    """Replies to each request once, unless its caller has left."""

    def __init__(self, admin: Admin, settled: Callable[[], Awaitable[None]]) -> None:
        """Changes are made by the admin; a reply is sent when they are `settled` in every front end."""
        self._admin = admin
        self._settled = settled
        self._running: dict[tuple[int, int], asyncio.Task[None]] = {}

    def begin(self, front_end: FrontEndProcess, request: AdminRequest) -> None:
        """Carries out a request; the reply is sent later."""
        key = (front_end.number, request.number)
        task = asyncio.get_running_loop().create_task(self._reply(front_end, request), context=Context())
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key, None))

    def cancel(self, front_end: FrontEndProcess, cancelled: CancelAdminRequest) -> None:
        """Takes back a request whose caller has left."""
        task = self._running.get((front_end.number, cancelled.number))
        if task is not None:
            task.cancel()

    def cancel_all(self, front_end: FrontEndProcess) -> None:
        """Takes back every request of a front end whose process has ended."""
        for (number, _), task in list(self._running.items()):
            if number == front_end.number:
                task.cancel()

    async def _reply(self, front_end: FrontEndProcess, request: AdminRequest) -> None:
        set_rights(request.rights)
        try:
            await self._carry_out(request)
            await self._settled()
        except ServingError as error:
            front_end.channel.send(AdminReply.failed(request.number, error))
        except Exception:
            name = type(request.request).__name__
            log.exception("%s of a caller failed", name)
            front_end.channel.send(AdminReply.failed(request.number, EngineFailed(name)))
        else:
            front_end.channel.send(AdminReply(request.number))

    async def _carry_out(self, request: AdminRequest) -> None:
        match request.request:
            case ReloadRequest(models, origin):
                await self._admin.reload(models, origin)
            case LoadRequest(name):
                await self._admin.load(name)
            case unload:
                await self._admin.unload(unload.name)
