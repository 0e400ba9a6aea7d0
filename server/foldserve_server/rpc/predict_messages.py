"""Conversion of TensorFlow Serving's messages to queries, and of predictions to its messages."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from foldserve_contract.dtypes import dtype_numbered
from foldserve_contract.errors import TensorError
from foldserve_contract.protos import POOL, PredictResponse
from foldserve_contract.signature import DEFAULT_SIGNATURE
from foldserve_contract.tensors import decode
from foldserve_contract.wire.read import ReceivedRequest
from foldserve_contract.wire.write import OUTPUTS, with_tensors

from ..errors import InvalidRequest
from ..models.query import InputTensor, ModelRef, PredictResult, Query

_DATA_TYPES = POOL.FindEnumTypeByName("tensorflow.DataType").values_by_number


def model_ref(request: Any) -> ModelRef:
    """The model that a request names.

    Raises:
        InvalidRequest: The request has no ModelSpec.
    """
    if not request.HasField("model_spec"):
        raise InvalidRequest("Missing ModelSpec")
    spec = request.model_spec
    choice = spec.WhichOneof("version_choice")
    return ModelRef(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def query(received: ReceivedRequest, deadline_ns: int | None, max_bytes: int) -> Query:
    """Converts a PredictRequest to a query whose tensors may take `max_bytes` each once unpacked.

    Raises:
        InvalidRequest: The request has no ModelSpec.
    """
    request = received.message
    return Query(
        model=model_ref(request),
        inputs=_InputTensors(received, max_bytes),
        outputs=tuple(request.output_filter),
        signature=request.model_spec.signature_name or DEFAULT_SIGNATURE,
        deadline_ns=deadline_ns,
        exact=request.request_options.deterministic_mode != 0,
    )


class _InputTensors(Mapping[str, InputTensor]):
    """The inputs of a request, each converted when it is first looked up, as a request may hold any number of them."""

    def __init__(self, received: ReceivedRequest, max_bytes: int) -> None:
        self._protos = received.message.inputs
        self._contents = received.contents
        self._max_bytes = max_bytes
        self._converted: dict[str, InputTensor] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._protos

    def __getitem__(self, name: str) -> InputTensor:
        if name not in self._protos:
            raise KeyError(name)  # the library would insert an empty one
        if name not in self._converted:
            self._converted[name] = input_tensor(self._protos[name], self._max_bytes, self._contents.get(name))
        return self._converted[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._protos)

    def __len__(self) -> int:
        return len(self._protos)


def input_tensor(proto: Any, max_bytes: int, content: memoryview | None = None) -> InputTensor:
    """Wraps a TensorProto, its values unread.

    `content` is its `tensor_content` where the message was read without it.
    """
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    complete = not proto.tensor_shape.unknown_rank and all(size >= 0 for size in shape)
    return InputTensor(_dtype(proto.dtype), shape if complete else None, partial(decode, proto, max_bytes, content))


def response(query: Query, answer: PredictResult, typed: bool) -> bytes:
    """The serialized PredictResponse; its tensors are in the typed fields, or in `tensor_content`."""
    message = PredictResponse()
    message.model_spec.name = query.model.name
    message.model_spec.signature_name = query.signature
    message.model_spec.version.value = answer.version
    return with_tensors(message, OUTPUTS, answer.outputs, typed)


def _dtype(number: int) -> str | None:
    try:
        return dtype_numbered(number).name
    except TensorError:
        value = _DATA_TYPES.get(number)
        return value.name.removeprefix("DT_").lower() if value is not None and number else None
