"""Where the protocol's answers are."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from ...errors import InvalidRequest
from ...models.admin import Admin
from ...open_inference.catalogue import EXTENSIONS, ModelCatalogue, check_load
from ...open_inference.infer import InferHandler, InferResult
from ...open_inference.message_json import plain
from ...open_inference.model_lookup import model_ref
from ...open_inference.not_offered import LOGGING, SHARED_MEMORY, TRACES, not_offered
from ...system.version import NAME, own_version
from ..json_pool import JsonPool, is_large, is_long
from ..request_body import content_of
from ..v1.predict_json import dump, parse_object
from .infer_json import InferBody, InferReply, parameters_of, read_infer, write_infer

LIVE, READY = "/v2/health/live", "/v2/health/ready"
_INFER = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/[^/]+)?/infer")
_JSON_SIZE = "Inference-Header-Content-Length"
_LONGEST_SIZE = 18  # digits
_JSON, _BYTES = "application/json", "application/octet-stream"
_NOT_READY = 400
_CODINGS = {"gzip": web.ContentCoding.gzip, "deflate": web.ContentCoding.deflate}


@dataclass(frozen=True, slots=True)
class InferServices:
    """What the answers come from.

    Attributes:
        ready: Whether the server as a whole is.
        deadline: When a request that comes now is given up, on CLOCK_MONOTONIC; None for never.
    """

    inference: InferHandler
    catalogue: ModelCatalogue
    admin: Admin
    offload: JsonPool
    ready: Callable[[], bool]
    deadline: Callable[[], int | None]


class InferRoutes:
    """Answers what `tritonclient.http` and other clients of the protocol ask."""

    def __init__(self, parts: InferServices) -> None:
        self._inference = parts.inference
        self._catalogue = parts.catalogue
        self._admin = parts.admin
        self._offload = parts.offload
        self._ready = parts.ready
        self._deadline = parts.deadline

    def routes(self) -> list[web.RouteDef]:
        """Where all that is."""
        found = [
            web.get("/v2", self.server),
            web.get("/v2/", self.server),
            web.get(LIVE, self.live),
            web.get(READY, self.ready),
            web.get("/v2/models/stats", self.statistics),
            web.post("/v2/repository/index", self.index),
            web.post("/v2/repository/models/{name}/load", self.load),
            web.post("/v2/repository/models/{name}/unload", self.unload),
        ]
        for place in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            of_model: dict[str, Handler] = {
                "": self.metadata, "/ready": self.model_ready, "/config": self.config, "/stats": self.statistics,
            }  # fmt: skip
            found += [web.get(place + end, handler) for end, handler in of_model.items()]
            found.append(web.post(f"{place}/infer", self.infer))
        for kind in ("system", "cuda"):
            for middle in ("", "/region/{region}"):
                found.append(web.get(f"/v2/{kind}sharedmemory{middle}/status", self.no_regions))
                found.append(web.post(f"/v2/{kind}sharedmemory{middle}/unregister", self.nothing))
            found.append(web.post(f"/v2/{kind}sharedmemory/region/{{region}}/register", _refused(SHARED_MEMORY)))
        found += [web.route("*", f"/v2{place}/trace/setting", _refused(TRACES)) for place in ("", "/models/{name}")]
        return [*found, web.route("*", "/v2/logging", _refused(LOGGING))]

    def names(self, request: web.Request) -> tuple[str, str] | None:
        """What is asked for in a word, and of which model; None for what is no inference."""
        found = _INFER.fullmatch(request.path) if request.method == "POST" else None
        return ("infer", found["name"]) if found else None

    async def live(self, request: web.Request) -> web.Response:
        """Who answers, lives."""
        return _json({"live": True})

    async def ready(self, request: web.Request) -> web.Response:
        """200 or 400, as health says of the server as a whole."""
        return _whether(self._ready())

    async def model_ready(self, request: web.Request) -> web.Response:
        """200 or 400."""
        name, version = _of(request)
        return _whether(self._catalogue.ready(name, version), name=name)

    async def server(self, request: web.Request) -> web.Response:
        """The server's metadata."""
        return _json({"name": NAME, "version": own_version(), "extensions": EXTENSIONS})

    async def metadata(self, request: web.Request) -> web.Response:
        """A model's metadata."""
        return _json(plain(self._catalogue.metadata(*_of(request))))

    async def config(self, request: web.Request) -> web.Response:
        """A model's configuration."""
        return _json(plain(self._catalogue.config(*_of(request)).config))

    async def statistics(self, request: web.Request) -> web.Response:
        """Statistics of a version, of every version of a model, or of all."""
        return _json(plain(self._catalogue.statistics(*_of(request))))

    async def index(self, request: web.Request) -> web.Response:
        """Every version, or every one that is ready."""
        asked = await _object(request)
        return _json([plain(one) for one in self._catalogue.index(ready_only=asked.get("ready") is True).models])

    async def load(self, request: web.Request) -> web.Response:
        """Answers when the model serves."""
        check_load(parameters_of(await _object(request), "the request"))
        await self._admin.load(request.match_info["name"])
        return web.Response()

    async def unload(self, request: web.Request) -> web.Response:
        """Answers when the model takes no more callers."""
        await self._admin.unload(request.match_info["name"])
        return web.Response()

    async def no_regions(self, request: web.Request) -> web.Response:
        """There is no shared memory to tell of."""
        return _json([])

    async def nothing(self, request: web.Request) -> web.Response:
        """There is no shared memory to forget."""
        return web.Response()

    async def infer(self, request: web.Request) -> web.StreamResponse:
        """Computes."""
        content, json_size = await content_of(request), _json_size(request)
        ref = model_ref(*_of(request))
        body = await self._offload.run(is_large(content, json_size), read_infer, content, json_size)
        found = await self._inference.infer(
            ref, body, lambda: {one.name: one.offer() for one in body.inputs}, self._deadline(), body.timeout_us
        )
        return _encoded(request, *await self._write(ref.name, body, found))

    async def _write(self, name: str, body: InferBody, found: InferResult) -> tuple[bytes, int | None]:
        reply = InferReply(body.id, name, found.answer.version, dict(found.answer.outputs), found.labels)
        listed = not body.binary and not all(one.binary for one in body.outputs)
        numbers = sum(array.size for array in reply.outputs.values()) if listed or not body.outputs else 0
        return await self._offload.run(is_long(numbers) and not body.binary, write_infer, _without_inputs(body), reply)


def _refused(instead: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        raise not_offered(f"{request.method} {request.path}", instead)

    return answer


def _without_inputs(body: InferBody) -> InferBody:
    return InferBody(body.id, (), body.outputs, body.binary, body.timeout_us)


def _json_size(request: web.Request) -> int | None:
    given = request.headers.get(_JSON_SIZE)
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > _LONGEST_SIZE:
        raise InvalidRequest(f"{_JSON_SIZE} must be a whole number, received {given!r:.100}")
    return int(given)


def _of(request: web.Request) -> tuple[str, str]:
    return request.match_info.get("name", ""), request.match_info.get("version", "")


async def _object(request: web.Request) -> dict[str, Any]:
    content = await content_of(request)
    return parse_object(content) if content else {}


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=dump(value), content_type=_JSON)


def _whether(ready: bool, **told: str) -> web.Response:
    """Triton's clients look at the status alone, KServe's at the body alone."""
    return _json({**told, "ready": ready}, 200 if ready else _NOT_READY)


def _accepted(part: str) -> str:
    """The coding that a part of `Accept-Encoding` names; empty where it says that it is not wanted."""
    name, _, quality = part.replace(" ", "").lower().partition(";q=")
    return "" if quality and not quality.strip("0.") else name


def _encoded(request: web.Request, content: bytes, json_size: int | None) -> web.Response:
    """The answer, compressed where the caller asks for it."""
    response = web.Response(body=content, content_type=_JSON if json_size is None else _BYTES)
    if json_size is not None:
        response.headers[_JSON_SIZE] = str(json_size)
    wanted = map(_accepted, request.headers.get("Accept-Encoding", "").split(","))
    coding = next((_CODINGS[one] for one in wanted if one in _CODINGS), None)
    if coding is not None:
        response.enable_compression(coding)
    return response
