"""Model metadata: the inputs and outputs of a signature, as a server reports them."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from foldserve_contract.dtypes import dtype_numbered
from foldserve_contract.errors import TensorError
from foldserve_contract.protos import GetModelMetadataRequest, GetModelMetadataResponse, SignatureDefMap
from foldserve_contract.protos.methods import PREDICTION_METHODS
from foldserve_contract.signature import Signature, TensorSpec

from ..errors import FailedPrecondition, ProtocolError
from ..status import Status
from .address import ModelAddress

PATH = PREDICTION_METHODS["GetModelMetadata"].path
FIELD = "signature_def"


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """An input or output, as any TensorFlow Serving may describe it.

    Attributes:
        name: The name on the wire.
        dtype: Numpy's name of the element type, or None for unsupported ones, such as strings.
        shape: The shape with -1 for free dimensions, or None if not even the rank is known.
    """

    name: str
    dtype: str | None
    shape: tuple[int, ...] | None

    def spec(self) -> TensorSpec:
        """Converts to the contract's stricter record.

        Raises:
            TensorError: The dtype is not supported, the rank is not known, or the first dimension is not free.
        """
        if self.dtype is None or self.shape is None:
            raise TensorError(f"tensor {self.name!r} has a dtype or rank that numpy arrays of rows cannot have")
        return TensorSpec(self.name, self.dtype, self.shape)


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """Signature of one version; inputs and outputs are sorted by name, since the wire has no order."""

    version: int
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]

    def signature(self) -> Signature:
        """Converts to the contract's signature.

        Raises:
            TensorError: The model takes or gives something other than rows of numbers.
        """
        return Signature(tuple(info.spec() for info in self.inputs), tuple(info.spec() for info in self.outputs))


def metadata_request(address: ModelAddress) -> bytes:
    """Serializes a request; the signature's name is not part of it."""
    request = GetModelMetadataRequest(metadata_field=[FIELD])
    address.write(request.model_spec)
    request.model_spec.signature_name = ""
    return request.SerializeToString()  # type: ignore[no-any-return]


def parse_metadata(body: bytes, signature: str) -> ModelMetadata:
    """Parses one signature from a serialized response.

    Raises:
        ProtocolError: The response cannot be read.
        FailedPrecondition: The model has no signature of that name.
    """
    try:
        response = GetModelMetadataResponse.FromString(body)
        signatures = SignatureDefMap()
        if not response.metadata[FIELD].Unpack(signatures):
            raise ProtocolError("the server's metadata holds no signature_def")
    except DecodeError as error:
        raise ProtocolError(f"the server's metadata cannot be read: {error}") from error
    if signature not in signatures.signature_def:
        names = sorted(name for name in signatures.signature_def if not name.startswith("__"))
        raise FailedPrecondition(
            Status.FAILED_PRECONDITION, f'Serving signature key "{signature}" not found. The model has {names}'
        )
    entry = signatures.signature_def[signature]
    return ModelMetadata(response.model_spec.version.value, _tensor_infos(entry.inputs), _tensor_infos(entry.outputs))


def _tensor_infos(infos: Any) -> tuple[TensorMetadata, ...]:
    return tuple(_tensor_info(name, infos[name]) for name in sorted(infos))


def _tensor_info(name: str, info: Any) -> TensorMetadata:
    try:
        dtype = dtype_numbered(info.dtype).name
    except TensorError:
        dtype = None
    shape = None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
    return TensorMetadata(name, dtype, shape)
