import asyncio
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2

from foldserve_server.models.routing_table import RoutingTable

from .calls import Caller, listening

NAMES = ("grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection")


def stream(caller: Caller, service: str) -> Any:
    return caller.channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )(None, timeout=10)


@pytest.mark.parametrize("service", NAMES)
@pytest.mark.parametrize(
    ("offered", "symbol"),
    [
        ("tensorflow.serving.PredictionService", "tensorflow.serving.PredictRequest"),
        ("inference.GRPCInferenceService", "inference.ModelInferRequest"),
    ],
)
async def test_clients_of_both_versions_are_answered(service: str, offered: str, symbol: str) -> None:
    async with listening(RoutingTable()) as caller:
        call = stream(caller, service)
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        listed = (await call.read()).list_services_response.service
        assert {offered, *NAMES} <= {service.name for service in listed}
        await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))
        assert (await call.read()).file_descriptor_response.file_descriptor_proto
        await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.Such"))
        assert (await call.read()).error_response.error_code == 5
        await call.done_writing()
        assert (await call.code()).name == "OK"


@pytest.mark.parametrize("service", NAMES)
async def test_methods_and_reflection_itself_are_described(service: str) -> None:
    async with listening(RoutingTable()) as caller:
        call = stream(caller, service)
        for symbol in ("tensorflow.serving.PredictionService.Predict", *NAMES, f"{NAMES[1]}.ServerReflectionInfo"):
            request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
            await call.write(request)
            answer = await call.read()
            assert answer.original_request == request
            files = answer.file_descriptor_response.file_descriptor_proto
            protos = [FileDescriptorProto.FromString(file) for file in files]
            offered = [f"{proto.package}.{service.name}" for proto in protos for service in proto.service]
            assert any(symbol.startswith(name) for name in offered), symbol
        await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.Such.Method"))
        assert (await call.read()).error_response.error_code == 5


async def test_a_stream_that_stays_open_does_not_keep_the_server_from_ending() -> None:
    async with listening(RoutingTable()) as caller:
        call = stream(caller, NAMES[0])
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await call.read()
        await asyncio.wait_for(caller.rpc.stop(60), 10)
