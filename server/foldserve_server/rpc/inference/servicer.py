"""inference.GRPCInferenceService."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc

from foldserve_contract.protos.open_inference import (
    INFERENCE_METHODS,
    INFERENCE_SERVICE,
    ModelStreamInferResponse,
)

from ...core.door import Door
from ...core.errors import InvalidRequest, ServingError
from ...core.ledger import Ledger
from ...core.predictor import Clock
from ...inference import wire
from ...inference.find import model_ref
from ...inference.infer import Inference
from ..status import words
from ..streams import Closing, in_order
from ..unary import Codec, Endpoint, Handlers, Naming, Reception, handlers, parse
from .models import Models

_STREAM = INFERENCE_METHODS["ModelStreamInfer"]
_CODEC = Codec.of(_STREAM)
_NAMINGS: Mapping[str, Naming] = dict.fromkeys(
    ("ModelInfer", "ModelStreamInfer"), lambda request: str(request.model_name)
)
_FINAL = "triton_final_response"
_TIMEOUT = "timeout"
_AT_ONCE = 64  # requests of one stream that are computed side by side


class InferenceServicer:
    """Answers what `tritonclient` and perf_analyzer ask."""

    def __init__(self, inference: Inference, clock: Clock, models: Models) -> None:
        self._inference = inference
        self._clock = clock
        self._models = models
        self._closing = Closing()

    def close(self) -> None:
        """Ends every stream once what it asked is answered."""
        self._closing.set()

    async def infer(self, request: Any, context: Any) -> Any:
        """ModelInferRequest to ModelInferResponse."""
        ref = model_ref(request.model_name, request.model_version)
        micros = request.parameters[_TIMEOUT].int64_param if _TIMEOUT in request.parameters else 0
        found = await self._inference.infer(
            ref, request, lambda: wire.offers(request), self._deadline(context), timeout_us=micros
        )
        return wire.response(request, found.answer, found.labels)

    def _deadline(self, context: Any) -> int | None:
        remaining = context.time_remaining()
        return None if remaining is None else self._clock() + int(remaining * 1e9)

    def handlers(self, door: Door, ledger: Ledger) -> Handlers:
        """What gRPC dispatches to."""
        reception = Reception(door, ledger, _NAMINGS)
        unary = {name: method for name, method in INFERENCE_METHODS.items() if name != _STREAM.name}
        found = handlers(unary, {**self._models.answers, "ModelInfer": self.infer}, reception, {})
        endpoint = Endpoint(_STREAM, self._infer_in_stream, reception, _CODEC)

        async def stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            async for content in in_order(
                self._closing.until(requests), lambda one: _tell(endpoint, one, context), _AT_ONCE
            ):
                yield content

        found[_STREAM.name] = grpc.stream_stream_rpc_method_handler(stream)
        return grpc.method_handlers_generic_handler(INFERENCE_SERVICE, found)

    async def _infer_in_stream(self, request: Any, context: Any) -> Any:
        message = ModelStreamInferResponse(infer_response=await self.infer(request, context))
        message.infer_response.parameters[_FINAL].bool_param = True
        return message


async def _tell(endpoint: Endpoint, content: bytes, context: Any) -> bytes:
    """An answer in a stream: an error is told in it, and the stream goes on."""
    try:
        return await endpoint.answered(content, context)
    except ServingError as error:
        message = ModelStreamInferResponse(error_message=words(error))
        with contextlib.suppress(InvalidRequest):
            message.infer_response.id = parse(_STREAM, content, _CODEC).id
        return bytes(message.SerializeToString())
