"""One unary gRPC method: bytes in, the servicer's answer out, errors as statuses."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from foldserve_contract.protos.methods import Method

from ..core.call import Call, enter
from ..core.door import Door
from ..core.errors import EngineFailed, InvalidRequest, NotOffered, ServingError
from .status import abort

log = logging.getLogger(__name__)
Handlers: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"
Answer = Callable[[Any, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Codec:
    """How a method's bytes become its request, and its answer bytes.

    Attributes:
        read: Raises `DecodeError` where the bytes are no request.
        write: The answer as bytes.
    """

    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]

    @classmethod
    def of(cls, method: Method) -> "Codec":
        """The library's own."""
        return cls(method.request.FromString, method.response.SerializeToString)


Codecs: TypeAlias = Mapping[str, Codec]
_NO_CODECS: Codecs = MappingProxyType({})


def handler(method: Method, answer: Answer, door: Door, codec: Codec) -> Any:
    """The handler gRPC calls for the method.

    Args:
        method: Says which messages go in and out.
        door: What every call passes.
        answer: Gives the response for a request and its call's context, or raises a `ServingError`.
        codec: Reads requests and writes responses.
    """

    async def call(content: bytes, context: Any) -> bytes:
        try:
            return await answered(method, answer, door, content, context, codec)
        except ServingError as error:
            return await abort(context, error)

    return grpc.unary_unary_rpc_method_handler(call)  # no (de)serializer: bytes, so that a bad message is the caller's


async def answered(
    method: Method, answer: Answer, door: Door, content: bytes, context: Any, codec: Codec | None = None
) -> bytes:
    """The response to one request, serialized.

    Raises:
        ServingError: There is none. What is not the caller's fault is logged.
    """
    enter(Call(f"{method.service}/{method.name}", lambda: _headers(context)))
    try:
        await door.knock()
        with door.inside(len(content)):
            codec = codec or Codec.of(method)
            return codec.write(await answer(parse(method, content, codec), context))
    except EngineFailed as error:
        log.error("%s: %s", method.name, error)
        raise
    except ServingError:
        raise
    except Exception:
        log.exception("%s failed", method.name)
        raise EngineFailed(method.name) from None


def _headers(context: Any) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def service(
    name: str, methods: Mapping[str, Method], answers: Mapping[str, Answer], door: Door, codecs: Codecs = _NO_CODECS
) -> Handlers:
    """The handlers of a service; a method without an answer says that it has none."""
    return grpc.method_handlers_generic_handler(name, handlers(methods, answers, door, codecs))


def handlers(
    methods: Mapping[str, Method], answers: Mapping[str, Answer], door: Door, codecs: Codecs = _NO_CODECS
) -> dict[str, Any]:
    """The handlers of a service by method."""
    return {
        key: handler(method, answers.get(key, _unimplemented(method)), door, codecs.get(key, Codec.of(method)))
        for key, method in methods.items()
    }


def _unimplemented(method: Method) -> Answer:
    async def answer(request: Any, context: Any) -> Any:
        raise NotOffered(f"{method.name} is not offered by this server")

    return answer


def parse(method: Method, content: bytes, codec: Codec | None = None) -> Any:
    """The request that the bytes stand for.

    Raises:
        InvalidRequest: They stand for none.
    """
    try:
        return (codec or Codec.of(method)).read(content)
    except DecodeError as error:
        raise InvalidRequest(f"the request is no {method.request.DESCRIPTOR.full_name}: {error}") from error
