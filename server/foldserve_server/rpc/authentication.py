"""Authentication of gRPC's callers by their tokens, before anything else is done for them."""

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
    """Refuses calls without a valid token, except health checks of a named model or service."""

    def __init__(self, authenticator: TokenAuthenticator, request_metrics: RequestMetrics) -> None:
        self._authenticator = authenticator
        self._request_metrics = request_metrics

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """Sets the caller's rights for the call's task, or answers with a refusal."""
        method = handler_call_details.method
        if not method.startswith(_HEALTH) or method == health.LIST:
            headers = dict(handler_call_details.invocation_metadata or ())
            try:
                set_rights(self._authenticator.authenticate(headers.get("authorization")))
            except ServingError as error:
                self._request_metrics.reject(error)
                return _refusal(await continuation(handler_call_details), error)
        return await continuation(handler_call_details)


def _refusal(handler: Any, error: ServingError) -> Any:
    """Builds a handler of the same kind that answers with the error."""

    async def unary(request: Any, context: Any) -> Any:
        await abort(context, error)

    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        await abort(context, error)
        yield

    if handler is None:
        return None
    if handler.response_streaming:
        make_handler = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make_handler(stream)
    return grpc.unary_unary_rpc_method_handler(unary)
