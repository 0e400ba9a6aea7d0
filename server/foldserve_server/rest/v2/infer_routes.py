"""Routes of the Open Inference Protocol over HTTP."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from ...errors import InvalidRequest
from ...models.admin import Admin
from ...models.query import InputTensor
from ...open_inference.catalogue import EXTENSIONS, ModelCatalogue, check_load
from ...open_inference.infer import InferHandler, InferResult
from ...open_inference.message_json import message_dict
from ...open_inference.model_lookup import model_ref
from ...open_inference.not_offered import LOGGING, SHARED_MEMORY, TRACES, not_offered
from ...system.version import NAME, own_version
from ..json_pool import JsonPool, are_many, is_large
from ..request_body import read_body
from ..v1.predict_json import dump, parse_object
from .infer_json import InferBody, InferReply, parameters_of, read_infer, write_infer

LIVE, READY = "/v2/health/live", "/v2/health/ready"
_INFER = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/[^/]+)?/infer")
_JSON_SIZE = "Inference-Header-Content-Length"
_MAX_DIGITS = 18
_JSON, _BYTES = "application/json", "application/octet-stream"
_NOT_READY = 400
_CODINGS = {"gzip": web.ContentCoding.gzip, "deflate": web.ContentCoding.deflate}


@dataclass(frozen=True, slots=True)
class InferServices:
    """The services behind the routes.

    Attributes:
        inference: Computes the answers.
        catalogue: Describes the models.
        admin: Loads and unloads models.
        json_pool: Reads and writes large JSON.
        ready: Gives the readiness of the server as a whole.
        deadline: Gives the deadline of a request that arrives now, on CLOCK_MONOTONIC; None for none.
    """

    inference: InferHandler
    catalogue: ModelCatalogue
    admin: Admin
    json_pool: JsonPool
    ready: Callable[[], bool]
    deadline: Callable[[], int | None]


class InferRoutes:
    """Answers `tritonclient.http` and other clients of the protocol."""

    def __init__(self, services: InferServices) -> None:
        self._inference = services.inference
        self._catalogue = services.catalogue
        self._admin = services.admin
        self._json_pool = services.json_pool
        self._ready = services.ready
        self._deadline = services.deadline

    def routes(self) -> list[web.RouteDef]:
        """Every route of the protocol."""
        # 1. the server and its repository
        routes = [
            web.get("/v2", self.server),
            web.get("/v2/", self.server),
            web.get(LIVE, self.live),
            web.get(READY, self.ready),
            web.get("/v2/models/stats", self.statistics),
            web.post("/v2/repository/index", self.index),
            web.post("/v2/repository/models/{name}/load", self.load),
            web.post("/v2/repository/models/{name}/unload", self.unload),
        ]
        # 2. models, with and without a version
        for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            of_model: dict[str, Handler] = {
                "": self.metadata, "/ready": self.model_ready, "/config": self.config, "/stats": self.statistics,
            }  # fmt: skip
            routes += [web.get(path + end, handler) for end, handler in of_model.items()]
            routes.append(web.post(f"{path}/infer", self.infer))
        # 3. shared memory, traces and logging, which are not offered
        for kind in ("system", "cuda"):
            for middle in ("", "/region/{region}"):
                routes.append(web.get(f"/v2/{kind}sharedmemory{middle}/status", self.no_regions))
                routes.append(web.post(f"/v2/{kind}sharedmemory{middle}/unregister", self.unregister))
            routes.append(web.post(f"/v2/{kind}sharedmemory/region/{{region}}/register", _refusal(SHARED_MEMORY)))
        routes += [web.route("*", f"/v2{path}/trace/setting", _refusal(TRACES)) for path in ("", "/models/{name}")]
        return [*routes, web.route("*", "/v2/logging", _refusal(LOGGING))]

    def api_and_model(self, request: web.Request) -> tuple[str, str] | None:
        """The kind of inference and the model's name, for metrics; None for requests that are not inference."""
        match = _INFER.fullmatch(request.path) if request.method == "POST" else None
        return ("infer", match["name"]) if match else None

    async def live(self, request: web.Request) -> web.Response:
        """Liveness: always true."""
        return _json({"live": True})

    async def ready(self, request: web.Request) -> web.Response:
        """Readiness of the server as a whole: 200 or 400."""
        return _readiness(self._ready())

    async def model_ready(self, request: web.Request) -> web.Response:
        """Readiness of a model or a version: 200 or 400."""
        name, version = _model_and_version(request)
        return _readiness(self._catalogue.ready(name, version), name=name)

    async def server(self, request: web.Request) -> web.Response:
        """The server's metadata."""
        return _json({"name": NAME, "version": own_version(), "extensions": EXTENSIONS})

    async def metadata(self, request: web.Request) -> web.Response:
        """A model's metadata."""
        return _json(message_dict(self._catalogue.metadata(*_model_and_version(request))))

    async def config(self, request: web.Request) -> web.Response:
        """A model's configuration."""
        return _json(message_dict(self._catalogue.config(*_model_and_version(request)).config))

    async def statistics(self, request: web.Request) -> web.Response:
        """Statistics of a version, of every version of a model, or of all."""
        return _json(message_dict(self._catalogue.statistics(*_model_and_version(request))))

    async def index(self, request: web.Request) -> web.Response:
        """Every version, or every one that is ready."""
        options = await _object(request)
        index = self._catalogue.index(ready_only=options.get("ready") is True)
        return _json([message_dict(model) for model in index.models])

    async def load(self, request: web.Request) -> web.Response:
        """Loads a model; answers when it serves."""
        check_load(parameters_of(await _object(request), "the request"))
        await self._admin.load(request.match_info["name"])
        return web.Response()

    async def unload(self, request: web.Request) -> web.Response:
        """Unloads a model; answers when it takes no more requests."""
        await self._admin.unload(request.match_info["name"])
        return web.Response()

    async def no_regions(self, request: web.Request) -> web.Response:
        """Lists the shared memory regions, of which none is ever registered."""
        return _json([])

    async def unregister(self, request: web.Request) -> web.Response:
        """Unregisters shared memory, of which none is ever registered."""
        return web.Response()

    async def infer(self, request: web.Request) -> web.StreamResponse:
        """Computes the answer to an inference request."""
        content, json_size = await read_body(request), _json_size(request)
        ref = model_ref(*_model_and_version(request))
        body = await self._json_pool.run(is_large(content, json_size), read_infer, content, json_size)

        def input_tensors() -> dict[str, InputTensor]:
            return {tensor.name: tensor.input_tensor() for tensor in body.inputs}

        result = await self._inference.infer(ref, body, input_tensors, self._deadline(), body.timeout_us)
        return _compressed(request, *await self._write(ref.name, body, result))

    async def _write(self, name: str, body: InferBody, result: InferResult) -> tuple[bytes, int | None]:
        reply = InferReply(body.id, name, result.answer.version, dict(result.answer.outputs), result.labels)
        listed = not body.binary and not all(output.binary for output in body.outputs)
        numbers = sum(array.size for array in reply.outputs.values()) if listed or not body.outputs else 0
        large = are_many(numbers) and not body.binary
        return await self._json_pool.run(large, write_infer, _without_inputs(body), reply)


def _refusal(instead: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        raise not_offered(f"{request.method} {request.path}", instead)

    return answer


def _without_inputs(body: InferBody) -> InferBody:
    return InferBody(body.id, (), body.outputs, body.binary, body.timeout_us)


def _json_size(request: web.Request) -> int | None:
    header = request.headers.get(_JSON_SIZE)
    if header is None:
        return None
    if not header.isascii() or not header.isdigit() or len(header) > _MAX_DIGITS:
        raise InvalidRequest(f"{_JSON_SIZE} must be a whole number, received {header!r:.100}")
    return int(header)


def _model_and_version(request: web.Request) -> tuple[str, str]:
    return request.match_info.get("name", ""), request.match_info.get("version", "")


async def _object(request: web.Request) -> dict[str, Any]:
    content = await read_body(request)
    return parse_object(content) if content else {}


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=dump(value), content_type=_JSON)


def _readiness(ready: bool, **fields: str) -> web.Response:
    """Readiness in status and body: Triton's clients read the status alone, KServe's the body alone."""
    return _json({**fields, "ready": ready}, 200 if ready else _NOT_READY)


def _accepted_coding(part: str) -> str:
    """The coding that a part of `Accept-Encoding` names; empty where its quality is 0."""
    name, _, quality = part.replace(" ", "").lower().partition(";q=")
    return "" if quality and not quality.strip("0.") else name


def _compressed(request: web.Request, content: bytes, json_size: int | None) -> web.Response:
    """The response, compressed where the caller accepts it."""
    response = web.Response(body=content, content_type=_JSON if json_size is None else _BYTES)
    if json_size is not None:
        response.headers[_JSON_SIZE] = str(json_size)
    accepted = map(_accepted_coding, request.headers.get("Accept-Encoding", "").split(","))
    coding = next((_CODINGS[name] for name in accepted if name in _CODINGS), None)
    if coding is not None:
        response.enable_compression(coding)
    return response
