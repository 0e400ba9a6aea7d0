"""gRPC reflection over messages that live in a pool of their own."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from foldserve_contract.protos import DESCRIPTORS

from .unary import Handlers

SERVICE = str(reflection.SERVICE_NAME)
_V1 = "grpc.reflection.v1.ServerReflection"  # the same messages under a later name, which newer clients try first
_METHOD = "ServerReflectionInfo"


class ReflectionServicer(reflection.aio.ReflectionServicer):  # type: ignore[misc, name-defined]
    """Lists and describes the services; its streams end when the server drains."""

    def __init__(self, services: Iterable[str]) -> None:
        super().__init__(services, pool=_pool())
        self._closing = asyncio.Event()

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
        async for answer in self.ServerReflectionInfo(_until(self._closing, requests), context):
            yield answer


async def _until(closing: asyncio.Event, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    closed = asyncio.ensure_future(closing.wait())
    pending = requests.__aiter__()
    try:
        while True:
            following = asyncio.ensure_future(pending.__anext__())
            try:
                await asyncio.wait({following, closed}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    return
                yield following.result()
            except StopAsyncIteration:
                return
            finally:
                following.cancel()
    finally:
        closed.cancel()


def _pool() -> DescriptorPool:
    """The contract's messages, health's and reflection's own in one pool."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(DESCRIPTORS).file:
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
