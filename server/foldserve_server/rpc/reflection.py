"""gRPC reflection over messages that live in a pool of their own."""

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

from .streams import Closing
from .unary import Handlers

SERVICE = str(reflection.SERVICE_NAME)
_V1 = "grpc.reflection.v1.ServerReflection"  # the same messages under a later name, which newer clients try first
_METHOD = "ServerReflectionInfo"


class ReflectionServicer(reflection.aio.ReflectionServicer):  # type: ignore[misc, name-defined]
    """Lists and describes the services; its streams end when the server drains."""

    def __init__(self, services: Iterable[str]) -> None:
        super().__init__(services, pool=_pool())
        self._closing = Closing()

    def close(self) -> None:
        """Ends every stream."""
        self._closing.set()

    def handlers(self) -> list[Handlers]:
        """What gRPC dispatches to."""
        method = grpc.stream_stream_rpc_method_handler(
            self._describe,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return [grpc.method_handlers_generic_handler(name, {_METHOD: method}) for name in (SERVICE, _V1)]

    async def _describe(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for answer in self.ServerReflectionInfo(self._closing.until(requests), context):
            yield answer


def _pool() -> DescriptorPool:
    """The contract's messages, health's and reflection's own in one pool."""
    pool = DescriptorPool()
    for descriptors in (protos.DESCRIPTORS, open_inference.DESCRIPTORS):
        for file in FileDescriptorSet.FromString(descriptors).file:
            pool.AddSerializedFile(file.SerializeToString())
    for own in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        _add(pool, own)
    return pool


def _add(pool: DescriptorPool, file: FileDescriptor) -> None:
    for dependency in file.dependencies:
        _add(pool, dependency)
    try:
        pool.FindFileByName(file.name)
    except KeyError:
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        pool.AddSerializedFile(proto.SerializeToString())
