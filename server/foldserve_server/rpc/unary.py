"""One unary gRPC method: bytes in, the servicer's answer out, errors as statuses."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from foldserve_contract.protos.methods import Method

from ..core.errors import EngineFailed, InvalidRequest, NotOffered, ServingError
from .door import Door
from .status import abort

log = logging.getLogger(__name__)
Handlers: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"
Answer = Callable[[Any, Any], Awaitable[Any]]


def handler(method: Method, answer: Answer, door: Door) -> Any:
    """The handler gRPC calls for the method.

    Args:
        method: Says which messages go in and out.
        door: What every call passes.
        answer: Gives the response for a request and its call's context, or raises a `ServingError`.
    """

    async def call(content: bytes, context: Any) -> bytes:
        try:
            return await answered(method, answer, door, content, context)
        except ServingError as error:
            return await abort(context, error)

    return grpc.unary_unary_rpc_method_handler(call)  # no (de)serializer: bytes, so that a bad message is the caller's


async def answered(method: Method, answer: Answer, door: Door, content: bytes, context: Any) -> bytes:
    """The response to one request, serialized.

    Raises:
        ServingError: There is none. What is not the caller's fault is logged.
    """
    try:
        await door.knock()
        with door.inside():
            return bytes((await answer(parse(method, content), context)).SerializeToString())
    except EngineFailed as error:
        log.error("%s: %s", method.name, error)
        raise
    except ServingError:
        raise
    except Exception:
        log.exception("%s failed", method.name)
        raise EngineFailed(method.name) from None


def service(name: str, methods: Mapping[str, Method], answers: Mapping[str, Answer], door: Door) -> Handlers:
    """The handlers of a service; a method without an answer says that it has none."""
    return grpc.method_handlers_generic_handler(name, handlers(methods, answers, door))


def handlers(methods: Mapping[str, Method], answers: Mapping[str, Answer], door: Door) -> dict[str, Any]:
    """The handlers of a service by method."""
    return {key: handler(method, answers.get(key, _unimplemented(method)), door) for key, method in methods.items()}


def _unimplemented(method: Method) -> Answer:
    async def answer(request: Any, context: Any) -> Any:
        raise NotOffered(f"{method.name} is not offered by this server")

    return answer


def parse(method: Method, content: bytes) -> Any:
    """The request that the bytes stand for.

    Raises:
        InvalidRequest: They stand for none.
    """
    try:
        return method.request.FromString(content)
    except DecodeError as error:
        raise InvalidRequest(f"the request is no {method.request.DESCRIPTOR.full_name}: {error}") from error
