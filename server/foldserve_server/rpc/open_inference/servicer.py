"""Servicer of inference.GRPCInferenceService."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc

from foldserve_contract.protos.open_inference import (
    INFERENCE_METHODS,
    INFERENCE_SERVICE,
    ModelStreamInferResponse,
)

from ...errors import InvalidRequest, ServingError
from ...metrics.request_metrics import RequestMetrics
from ...open_inference import infer_messages
from ...open_inference.infer import InferHandler
from ...open_inference.model_lookup import model_ref
from ...predict.handler import Clock
from ...security.admission import AdmissionGate
from ..endpoint import Codec, Endpoint, Handlers, Ingress, ModelNameGetter, parse, unary_handlers
from ..status import message_text
from ..streams import StreamCloser, in_order
from .model_calls import ModelCalls

_STREAM = INFERENCE_METHODS["ModelStreamInfer"]
_CODEC = Codec.of(_STREAM)
_MODEL_NAMES: Mapping[str, ModelNameGetter] = dict.fromkeys(
    ("ModelInfer", "ModelStreamInfer"), lambda request: str(request.model_name)
)
_FINAL = "triton_final_response"
_TIMEOUT = "timeout"
_AT_ONCE = 64  # requests of one stream that are computed concurrently


class InferenceServicer:
    """Answers the clients of the protocol, such as `tritonclient` and perf_analyzer."""

    def __init__(self, inference: InferHandler, clock: Clock, models: ModelCalls) -> None:
        self._inference = inference
        self._clock = clock
        self._models = models
        self._closer = StreamCloser()

    def close(self) -> None:
        """Ends every stream once its requests are answered."""
        self._closer.close()

    async def infer(self, request: Any, context: Any) -> Any:
        """ModelInferRequest to ModelInferResponse."""
        ref = model_ref(request.model_name, request.model_version)
        micros = request.parameters[_TIMEOUT].int64_param if _TIMEOUT in request.parameters else 0
        result = await self._inference.infer(
            ref, request, lambda: infer_messages.input_tensors(request), self._deadline(context), timeout_us=micros
        )
        return infer_messages.response(request, result.answer, result.labels)

    def _deadline(self, context: Any) -> int | None:
        remaining = context.time_remaining()
        return None if remaining is None else self._clock() + int(remaining * 1e9)

    def handlers(self, admission_gate: AdmissionGate, request_metrics: RequestMetrics) -> Handlers:
        """The handlers that gRPC dispatches to."""
        ingress = Ingress(admission_gate, request_metrics, _MODEL_NAMES)
        unary = {name: method for name, method in INFERENCE_METHODS.items() if name != _STREAM.name}
        handlers = unary_handlers(unary, {**self._models.handlers, "ModelInfer": self.infer}, ingress, {})
        endpoint = Endpoint(_STREAM, self._infer_in_stream, ingress, _CODEC)

        async def stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            async for content in in_order(
                self._closer.until_closed(requests), lambda request: _reply(endpoint, request, context), _AT_ONCE
            ):
                yield content

        handlers[_STREAM.name] = grpc.stream_stream_rpc_method_handler(stream)
        return grpc.method_handlers_generic_handler(INFERENCE_SERVICE, handlers)

    async def _infer_in_stream(self, request: Any, context: Any) -> Any:
        message = ModelStreamInferResponse(infer_response=await self.infer(request, context))
        message.infer_response.parameters[_FINAL].bool_param = True
        return message


async def _reply(endpoint: Endpoint, content: bytes, context: Any) -> bytes:
    """Answers one request of a stream; an error is sent as a message, and the stream goes on."""
    try:
        return await endpoint.respond(content, context)
    except ServingError as error:
        message = ModelStreamInferResponse(error_message=message_text(error))
        with contextlib.suppress(InvalidRequest):
            message.infer_response.id = parse(_STREAM, content, _CODEC).id
        return bytes(message.SerializeToString())
