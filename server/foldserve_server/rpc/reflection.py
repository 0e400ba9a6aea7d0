"""gRPC server reflection over messages that have a descriptor pool of their own."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from foldserve_contract import protos
from foldserve_contract.protos import open_inference

from .endpoint import Handlers
from .streams import StreamCloser

_V1ALPHA = str(reflection.SERVICE_NAME)
_V1 = "grpc.reflection.v1.ServerReflection"  # the same messages under a later name, which newer clients try first
_METHOD = "ServerReflectionInfo"


class ReflectionServicer(reflection.aio.ReflectionServicer):  # type: ignore[misc, name-defined]
    """Lists and describes the services and itself; its streams end when the server drains."""

    def __init__(self, services: Iterable[str]) -> None:
        self._descriptors = _pool()
        super().__init__((*services, _V1, _V1ALPHA), pool=self._descriptors)
        self._closer = StreamCloser()

    def close(self) -> None:
        """Ends every stream."""
        self._closer.close()

    def handlers(self) -> list[Handlers]:
        """The handlers that gRPC dispatches to, under both names of the service."""
        method = grpc.stream_stream_rpc_method_handler(
            self._describe,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return [grpc.method_handlers_generic_handler(name, {_METHOD: method}) for name in (_V1ALPHA, _V1)]

    async def _describe(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in self._closer.until_closed(requests):
            async for answer in self.ServerReflectionInfo(_single(self._resolvable(request)), context):
                answer.original_request.CopyFrom(request)
                yield answer

    def _resolvable(self, request: Any) -> Any:
        """The request; a method's name, which the pool cannot look up, is replaced by its service's."""
        symbol = request.file_containing_symbol
        service = symbol.rpartition(".")[0]
        if not service or self._has_symbol(symbol) or not self._has_symbol(service):
            return request
        return reflection_pb2.ServerReflectionRequest(host=request.host, file_containing_symbol=service)

    def _has_symbol(self, symbol: str) -> bool:
        try:
            self._descriptors.FindFileContainingSymbol(symbol)
        except KeyError:
            return False
        return True


async def _single(request: Any) -> AsyncIterator[Any]:
    yield request


def _pool() -> DescriptorPool:
    """A pool with the contract's messages, health's and reflection's."""
    pool = DescriptorPool()
    for descriptors in (protos.DESCRIPTORS, open_inference.DESCRIPTORS):
        for file in FileDescriptorSet.FromString(descriptors).file:
            pool.AddSerializedFile(file.SerializeToString())
    for file_descriptor in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        _add(pool, file_descriptor)
    pool.AddSerializedFile(_v1().SerializeToString())
    return pool


def _v1() -> FileDescriptorProto:
    """Reflection's own file, renamed from v1alpha to v1."""
    proto = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(proto)
    before, after = f".{proto.package}.", ".grpc.reflection.v1."
    proto.name, proto.package = "grpc/reflection/v1/reflection.proto", after.strip(".")
    for message in proto.message_type:
        for field in message.field:
            if field.type_name:  # setting it where it is empty would make it present
                field.type_name = field.type_name.replace(before, after)
    for method in proto.service[0].method:
        method.input_type = method.input_type.replace(before, after)
        method.output_type = method.output_type.replace(before, after)
    return proto


def _add(pool: DescriptorPool, file: FileDescriptor) -> None:
    for dependency in file.dependencies:
        _add(pool, dependency)
    try:
        pool.FindFileByName(file.name)
    except KeyError:
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        pool.AddSerializedFile(proto.SerializeToString())
