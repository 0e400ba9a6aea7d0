"""Tells gRPC's callers apart by their tokens, before anything else is done for them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from ..context.rights import set_rights
from ..errors import ServingError
from ..metrics.request_metrics import RequestMetrics
from ..security.tokens import TokenAuthenticator
from . import health
from .status import abort

_HEALTH = f"/{health.SERVICE}/"


class TokenInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Lets nobody pass without a token, but to the health of what they can name."""

    def __init__(self, access: TokenAuthenticator, ledger: RequestMetrics) -> None:
        self._access = access
        self._ledger = ledger

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """Marks the call's task with the rights of its caller, or answers in the servicer's place."""
        method = handler_call_details.method
        if not method.startswith(_HEALTH) or method == health.LIST:
            headers = dict(handler_call_details.invocation_metadata or ())
            try:
                set_rights(self._access.identify(headers.get("authorization")))
            except ServingError as error:
                self._ledger.turned_away(error)
                return _refusal(await continuation(handler_call_details), error)
        return await continuation(handler_call_details)


def _refusal(handler: Any, error: ServingError) -> Any:
    """A handler of the same kind that answers with the error."""

    async def once(request: Any, context: Any) -> Any:
        await abort(context, error)

    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        await abort(context, error)
        yield

    if handler is None:
        return None
    if handler.response_streaming:
        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make(stream)
    return grpc.unary_unary_rpc_method_handler(once)
