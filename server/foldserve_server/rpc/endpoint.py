"""Endpoint of one gRPC method: reads the request's bytes, calls the servicer, maps errors to statuses."""

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
    """Decoder of a method's requests and encoder of its responses.

    Attributes:
        read: Reads the request, or raises `DecodeError` where the bytes are not one.
        write: Writes the response.
    """

    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]

    @classmethod
    def of(cls, method: Method) -> "Codec":
        """The library's own codec of a method."""
        return cls(method.request.FromString, method.response.SerializeToString)


Codecs: TypeAlias = Mapping[str, Codec]
ModelNameGetter = Callable[[Any], str]
"""Gives the name of the model that a request is for; empty where the request names none."""


@dataclass(frozen=True, slots=True)
class Ingress:
    """Admission and metrics, which every call of a service passes first.

    Attributes:
        admission_gate: Admits the calls.
        request_metrics: Counts the calls of the methods in `model_names`.
        model_names: The methods that are counted, and the getter of the model's name from their requests.
    """

    admission_gate: AdmissionGate
    request_metrics: RequestMetrics
    model_names: Mapping[str, ModelNameGetter] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Method as the server answers it.

    Attributes:
        method: The method, with the types of its messages.
        handler: Gives the response for a request and its call's context, or raises a `ServingError`.
        ingress: Admits and counts the calls.
        codec: Reads requests and writes responses.
    """

    method: Method
    handler: MethodHandler
    ingress: Ingress
    codec: Codec

    async def respond(self, content: bytes, context: Any) -> bytes:
        """Answers one request, both serialized.

        Raises:
            ServingError: The request is not answered; failures of the server itself are logged.
        """
        # 1. the call becomes the current one, for logs, traces and metrics
        name = self.method.name
        call = Call(f"{self.method.service}/{name}", lambda: _headers(context), name)
        set_call(call)
        model_name = self.ingress.model_names.get(name)
        with self.ingress.request_metrics.measure(call) if model_name is not None else nullcontext():
            try:
                # 2. admission, then reading, then the answer
                await self.ingress.admission_gate.check_open()
                with self.ingress.admission_gate.admit(len(content)):
                    request = parse(self.method, content, self.codec)
                    call.model = model_name(request) if model_name is not None else ""
                    return self.codec.write(await self.handler(request, context))
            # 3. errors: the caller's pass, others are logged and hidden
            except EngineFailed as error:
                log.error("%s: %s", name, error)
                raise
            except ServingError:
                raise
            except Exception:
                log.exception("%s failed", name)
                raise EngineFailed(name) from None

    async def respond_or_abort(self, content: bytes, context: Any) -> bytes:
        """Answers as `respond`; an error becomes the call's status."""
        try:
            return await self.respond(content, context)
        except ServingError as error:
            return await abort(context, error)


def _headers(context: Any) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def service_handler(
    name: str,
    methods: Mapping[str, Method],
    method_handlers: Mapping[str, MethodHandler],
    ingress: Ingress,
    codecs: Codecs,
) -> Handlers:
    """The handlers of a service; a method without a handler answers UNIMPLEMENTED."""
    return grpc.method_handlers_generic_handler(name, unary_handlers(methods, method_handlers, ingress, codecs))


def unary_handlers(
    methods: Mapping[str, Method], method_handlers: Mapping[str, MethodHandler], ingress: Ingress, codecs: Codecs
) -> dict[str, Any]:
    """The handlers of a service by method.

    They have no (de)serializer and take bytes, so that a malformed message is reported as the caller's error.
    """
    endpoints = {
        name: Endpoint(
            method, method_handlers.get(name, _unimplemented(method)), ingress, codecs.get(name, Codec.of(method))
        )
        for name, method in methods.items()
    }
    return {name: grpc.unary_unary_rpc_method_handler(item.respond_or_abort) for name, item in endpoints.items()}


def _unimplemented(method: Method) -> MethodHandler:
    async def refuse(request: Any, context: Any) -> Any:
        raise NotOffered(f"{method.name} is not offered by this server")

    return refuse


def parse(method: Method, content: bytes, codec: Codec) -> Any:
    """Reads a request.

    Raises:
        InvalidRequest: The bytes are not a request, or hold too many fields.
    """
    check_fields(content, method.request.DESCRIPTOR)
    try:
        return codec.read(content)
    except DecodeError as error:
        raise InvalidRequest(f"the request is not a valid {method.request.DESCRIPTOR.full_name}: {error}") from error
