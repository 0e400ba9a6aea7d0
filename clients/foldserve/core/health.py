"""gRPC's health check, without the package grpcio-health-checking."""

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from ..errors import ProtocolError

PATH = "/grpc.health.v1.Health/Check"
SERVING = 1
_STRING, _INT32, _OPTIONAL = 9, 5, 1  # FieldDescriptorProto's numbers; an int32 reads an enum as well


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="foldserve/health.proto", package="foldserve.health", syntax="proto3")
    for message, field, kind in (("Request", "service", _STRING), ("Response", "status", _INT32)):
        file.message_type.add(name=message).field.add(name=field, number=1, type=kind, label=_OPTIONAL)
    return file


_POOL = DescriptorPool()
_POOL.Add(_file())
_Request = GetMessageClass(_POOL.FindMessageTypeByName("foldserve.health.Request"))
_Response = GetMessageClass(_POOL.FindMessageTypeByName("foldserve.health.Response"))


def health_request(service: str = "") -> bytes:
    """Serializes a request; an empty name means the whole server."""
    return _Request(service=service).SerializeToString()


def is_serving(body: bytes) -> bool:
    """Tests whether a serialized response is SERVING."""
    try:
        return bool(_Response.FromString(body).status == SERVING)  # type: ignore[attr-defined]
    except DecodeError as error:
        raise ProtocolError(f"the server's health cannot be read: {error}") from error
