"""Server of TensorFlow Serving's protocol with configurable faults."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from foldserve_contract import tensors
from foldserve_contract.dtypes import dtype_named
from foldserve_contract.errors import TensorError
from foldserve_contract.protos import SignatureDefMap, TensorProto
from foldserve_contract.protos.methods import MODEL_METHODS, PREDICTION_METHODS, Method
from foldserve_contract.signature import Array, Signature, TensorSpec

PUSHBACK = "grpc-retry-pushback-ms"


def times(factor: float, row_shape: tuple[int, ...] = (3,), dtype: str = "float32") -> "FakeModel":
    """Makes a model whose output `y` is its input `x` times a factor."""
    signature = Signature((TensorSpec("x", dtype, (-1, *row_shape)),), (TensorSpec("y", dtype, (-1, *row_shape)),))
    return FakeModel(signature, lambda inputs: {"y": inputs["x"] * np.dtype(dtype).type(factor)})


def sum_and_difference() -> "FakeModel":
    """Makes a model with the inputs `a`, `b` and the outputs `sum`, `difference`."""
    specs = {name: TensorSpec(name, "float32", (-1, 2)) for name in ("a", "b", "sum", "difference")}
    signature = Signature((specs["a"], specs["b"]), (specs["sum"], specs["difference"]))
    return FakeModel(signature, lambda i: {"sum": i["a"] + i["b"], "difference": i["a"] - i["b"]})


@dataclass
class FakeModel:
    """A model: its signature, its function and its largest batch."""

    signature: Signature
    run: Callable[[dict[str, Array]], dict[str, Array]]
    max_rows: int | None = None


@dataclass(frozen=True)
class Refusal(Exception):
    """End of a call with a status other than OK."""

    status: str
    message: str
    pushback: str | None = None


@dataclass
class ModelServer:
    """Server of models by name and version, on a port of its own.

    Attributes:
        models: The models served; may be changed while calls come in.
        refusals: Ends of the next Predict calls, in their order.
        before_predict: Called with each Predict request before it is handled.
        typed_fields: True to respond in `float_val` and other typed fields.
        reports_version: True to put the version into responses.
        has_metadata: False to end GetModelMetadata as UNIMPLEMENTED.
        health: Status of the health check, None for UNIMPLEMENTED.
        states: Responses to GetModelStatus in turn; after them, all of `models` is AVAILABLE.
        requests: Names of methods with their requests, in the order received.
        metadata: Metadata of these requests.
        peers: Addresses of the callers.
    """

    models: dict[str, dict[int, FakeModel]]
    refusals: deque[Refusal] = field(default_factory=deque)
    before_predict: Callable[[Any], None] = lambda request: None
    typed_fields: bool = False
    reports_version: bool = True
    has_metadata: bool = True
    health: int | None = 1
    states: deque[list[tuple[int, int, int, str]]] = field(default_factory=deque)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    peers: set[str] = field(default_factory=set)
    port: int = 0

    def start(self, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> "ModelServer":
        options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(8), options=options)
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        address = f"localhost:{port}"
        self.port = (
            self._server.add_secure_port(address, credentials)
            if credentials
            else self._server.add_insecure_port(address)
        )
        self._server.start()
        return self

    def stop(self) -> None:
        self._server.stop(None).wait()

    @property
    def target(self) -> str:
        return f"localhost:{self.port}"

    def seen(self, method: str) -> list[Any]:
        return [request for name, request in self.requests if name == method]

    def predict(self, request: Any) -> Any:
        self.before_predict(request)
        with self._lock:
            refusal = self.refusals.popleft() if self.refusals else None
        if refusal:
            raise refusal
        version, model = self._find(request.model_spec)
        inputs = {name: tensors.decode(proto) for name, proto in request.inputs.items()}
        _check(model, inputs)
        response = PREDICTION_METHODS["Predict"].response()
        response.model_spec.name = request.model_spec.name
        if self.reports_version:
            response.model_spec.version.value = version
        for name, array in model.run(inputs).items():
            if not request.output_filter or name in request.output_filter:
                response.outputs[name].CopyFrom(_typed(array) if self.typed_fields else tensors.encode(array))
        return response

    def get_model_metadata(self, request: Any) -> Any:
        if not self.has_metadata:
            raise Refusal("UNIMPLEMENTED", "no such method")
        version, model = self._find(request.model_spec)
        signatures = SignatureDefMap()
        entry = signatures.signature_def["serving_default"]
        for specs, infos in ((model.signature.inputs, entry.inputs), (model.signature.outputs, entry.outputs)):
            for spec in specs:
                infos[spec.name].dtype = dtype_named(spec.dtype).enum
                for size in spec.shape:
                    infos[spec.name].tensor_shape.dim.add(size=size)
        response = PREDICTION_METHODS["GetModelMetadata"].response()
        response.model_spec.version.value = version
        response.metadata["signature_def"].Pack(signatures)
        return response

    def get_model_status(self, request: Any) -> Any:
        served = self.models.get(request.model_spec.name, {})
        states = self.states.popleft() if self.states else [(version, 30, 0, "") for version in served]
        if not states:
            raise Refusal("NOT_FOUND", f"Could not find any versions of model {request.model_spec.name}")
        response = MODEL_METHODS["GetModelStatus"].response()
        for version, state, code, message in states:
            entry = response.model_version_status.add(version=version, state=state)
            entry.status.error_code, entry.status.error_message = code, message
        return response

    def _find(self, spec: Any) -> tuple[int, FakeModel]:
        versions = self.models.get(spec.name, {})
        if spec.version_label and spec.version_label != "stable":
            raise Refusal("INVALID_ARGUMENT", f"Unrecognized servable version label: {spec.version_label}")
        version = spec.version.value if spec.HasField("version") else max(versions, default=0)
        if version not in versions:
            wanted = f"Specific({spec.name}, {version})" if spec.HasField("version") else f"Latest({spec.name})"
            raise Refusal("NOT_FOUND", f"Servable not found for request: {wanted}")
        return version, versions[version]


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # only its stub is generic
    def __init__(self, server: ModelServer) -> None:
        self._server = server
        table = {
            PREDICTION_METHODS["Predict"]: server.predict,
            PREDICTION_METHODS["GetModelMetadata"]: server.get_model_metadata,
            MODEL_METHODS["GetModelStatus"]: server.get_model_status,
        }
        self._table = {method.path: self._handler(method, handle) for method, handle in table.items()}

    def service(self, details: Any) -> Any:
        if details.method == "/grpc.health.v1.Health/Check" and self._server.health is not None:
            health = self._server.health
            return grpc.unary_unary_rpc_method_handler(lambda request, context: bytes([8, health]))
        return self._table.get(details.method)

    def _handler(self, method: Method, handle: Callable[[Any], Any]) -> Any:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self._server.requests.append((method.name, request))
            self._server.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
            self._server.peers.add(context.peer())
            try:
                return handle(request)
            except Refusal as refusal:
                if refusal.pushback is not None:
                    context.set_trailing_metadata(((PUSHBACK, refusal.pushback),))
                context.abort(getattr(grpc.StatusCode, refusal.status), refusal.message)

        return grpc.unary_unary_rpc_method_handler(
            answer, method.request.FromString, lambda response: response.SerializeToString()
        )


def _check(model: FakeModel, inputs: dict[str, Array]) -> None:
    try:
        rows = model.signature.check_inputs(inputs)
    except TensorError as error:
        raise Refusal("INVALID_ARGUMENT", str(error)) from None
    if model.max_rows is not None and rows > model.max_rows:
        raise Refusal("INVALID_ARGUMENT", f"Task size {rows} is larger than maximum input batch size {model.max_rows}")


def _typed(array: Array) -> Any:
    dtype = dtype_named(array.dtype.name)
    proto = TensorProto(dtype=dtype.enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, dtype.field).extend(array.ravel().tolist())
    return proto
