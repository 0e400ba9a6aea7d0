"""Request and response of the Predict call."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from foldserve_contract import tensors
from foldserve_contract.errors import TensorError
from foldserve_contract.protos import PredictRequest, PredictResponse
from foldserve_contract.protos.methods import PREDICTION_METHODS
from foldserve_contract.signature import Array, Arrays
from foldserve_contract.wire.write import INPUTS, with_tensors

from ..errors import ProtocolError
from .address import ModelAddress

PATH = PREDICTION_METHODS["Predict"].path
MAX_BYTES = 1 << 31  # protobuf's own limit


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Outputs of a model, and the version that computed them.

    Attributes:
        outputs: The model's outputs by name; rows in the order of the inputs' rows.
        model: The model's name.
        version: The version that answered, or None if the server does not report it.
    """

    outputs: dict[str, Array]
    model: str
    version: int | None


def predict_request(address: ModelAddress, inputs: Arrays, outputs: Sequence[str]) -> bytes:
    """Serializes a request; without names of outputs, for all of them.

    Raises:
        TensorError: An input's dtype cannot be sent.
    """
    request = PredictRequest(output_filter=outputs)
    address.write(request.model_spec)
    return with_tensors(request, INPUTS, inputs)


def parse_prediction(body: bytes, address: ModelAddress) -> Prediction:
    """Parses a serialized response.

    Raises:
        ProtocolError: The response cannot be read.
    """
    try:
        response = PredictResponse.FromString(body)
        outputs = {name: tensors.decode(response.outputs[name], MAX_BYTES) for name in response.outputs}
    except DecodeError as error:
        raise ProtocolError(f"the server's answer for {address} cannot be read: {error}") from error
    except TensorError as error:
        raise ProtocolError(f"the server's answer for {address} holds a tensor that cannot be read: {error}") from error
    spec = response.model_spec
    version = spec.version.value if spec.HasField("version") else None
    return Prediction(dict(sorted(outputs.items())), address.model, version)
