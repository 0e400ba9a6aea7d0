"""One unary gRPC method: bytes in, the servicer's answer out, errors as statuses."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from foldserve_contract.protos.methods import Method

from ..context.call import Call, set_call
from ..errors import EngineFailed, InvalidRequest, NotOffered, ServingError
from ..metrics.request_metrics import RequestMetrics
from ..security.admission import AdmissionGate
from .field_limits import check_fields
from .status import abort

log = logging.getLogger(__name__)
Handlers: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"
MethodHandler = Callable[[Any, Any], Awaitable[Any]]


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
ModelNameGetter = Callable[[Any], str]
"""Gives the name of the model that a request is for; empty where it names none."""


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """What every call of a service meets first.

    Attributes:
        door: Lets it in.
        ledger: Counts the calls of the methods in `counted`.
        counted: Those methods, and how their requests name a model.
    """

    door: AdmissionGate
    ledger: RequestMetrics
    counted: Mapping[str, ModelNameGetter] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method as it is answered.

    Attributes:
        method: Says which messages go in and out.
        answer: Gives the response for a request and its call's context, or raises a `ServingError`.
        codec: Reads requests and writes responses.
    """

    method: Method
    answer: MethodHandler
    reception: ServiceEntry
    codec: Codec

    async def answered(self, content: bytes, context: Any) -> bytes:
        """The response to one request, serialized.

        Raises:
            ServingError: There is none. What is not the caller's fault is logged.
        """
        name = self.method.name
        call = Call(f"{self.method.service}/{name}", lambda: _headers(context), name)
        set_call(call)
        naming = self.reception.counted.get(name)
        with self.reception.ledger.counted(call) if naming is not None else nullcontext():
            try:
                await self.reception.door.knock()
                with self.reception.door.inside(len(content)):
                    request = parse(self.method, content, self.codec)
                    call.model = naming(request) if naming is not None else ""
                    return self.codec.write(await self.answer(request, context))
            except EngineFailed as error:
                log.error("%s: %s", name, error)
                raise
            except ServingError:
                raise
            except Exception:
                log.exception("%s failed", name)
                raise EngineFailed(name) from None

    async def call(self, content: bytes, context: Any) -> bytes:
        """As `answered`; what is raised becomes the call's status."""
        try:
            return await self.answered(content, context)
        except ServingError as error:
            return await abort(context, error)


def _headers(context: Any) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def service_handler(
    name: str,
    methods: Mapping[str, Method],
    answers: Mapping[str, MethodHandler],
    reception: ServiceEntry,
    codecs: Codecs,
) -> Handlers:
    """The handlers of a service; a method without an answer says that it has none."""
    return grpc.method_handlers_generic_handler(name, handlers(methods, answers, reception, codecs))


def handlers(
    methods: Mapping[str, Method], answers: Mapping[str, MethodHandler], reception: ServiceEntry, codecs: Codecs
) -> dict[str, Any]:
    """The handlers of a service by method."""
    endpoints = {
        key: Endpoint(method, answers.get(key, _unimplemented(method)), reception, codecs.get(key, Codec.of(method)))
        for key, method in methods.items()
    }  # no (de)serializer: bytes, so that a bad message is the caller's
    return {key: grpc.unary_unary_rpc_method_handler(endpoint.call) for key, endpoint in endpoints.items()}


def _unimplemented(method: Method) -> MethodHandler:
    async def answer(request: Any, context: Any) -> Any:
        raise NotOffered(f"{method.name} is not offered by this server")

    return answer


def parse(method: Method, content: bytes, codec: Codec) -> Any:
    """The request that the bytes stand for.

    Raises:
        InvalidRequest: They stand for none, or for one of too many fields.
    """
    check_fields(content, method.request.DESCRIPTOR)
    try:
        return codec.read(content)
    except DecodeError as error:
        raise InvalidRequest(f"the request is not a {method.request.DESCRIPTOR.full_name}: {error}") from error
