"""TensorFlow Serving's REST interface."""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from foldserve_contract.signature import Signature

from ...errors import InvalidRequest
from ...models.query import InputTensor, ModelRef, PredictResult, Query
from ...models.table import Table
from ...predict.classify_regress import ClassifyRegressHandler, ExampleRequest
from ...predict.handler import PredictHandler
from ..json_pool import JsonPool, is_large, is_long
from ..request_body import content_of
from . import model_json
from .example_json import read_examples, write_classes, write_values
from .predict_json import PredictBody, dump, read_predict, write_predict

_WHERE = r"(?:/versions/(?P<version>[0-9]{1,18})|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_WHERE}:(?P<verb>predict|classify|regress)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_WHERE}(?P<metadata>/metadata)?", re.IGNORECASE)
JSON = "application/json"
Verb = Callable[[ModelRef, bytes], Awaitable[bytes]]


class PredictRoutes:
    """Answers everything below `/v1/`."""

    def __init__(
        self,
        table: Table,
        predictor: PredictHandler,
        offload: JsonPool,
        deadline: Callable[[], int | None],
        max_bytes: int,
        split_large: bool,
    ) -> None:
        """An input made of examples takes `max_bytes` at most, and a batch unless larger ones are split.

        `deadline` gives when a request that comes now is given up, on CLOCK_MONOTONIC; None for never.
        """
        self._table = table
        self._predictor = predictor
        self._deadline = deadline
        self._offload = offload
        self._split_large = split_large
        self._tasks = ClassifyRegressHandler(table, predictor, max_bytes)
        self._verbs: Mapping[str, Verb] = {
            "predict": self._predict,
            "classify": self._classify,
            "regress": self._regress,
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The response; raises a `ServingError` where there is none."""
        if request.method == "POST" and (found := _POST.fullmatch(request.path)):
            content = await content_of(request)
            return _json(await self._verbs[found["verb"].lower()](_ref(found), content))
        if request.method == "GET" and (found := _GET.fullmatch(request.path)):
            return _json(dump(self._describe(found)))
        raise InvalidRequest(f"Malformed request: {request.method} {request.path}")

    def names(self, request: web.Request) -> tuple[str, str] | None:
        """What is asked for in a word (empty where it is no inference), and of which model; the latter may be empty.

        TensorFlow Serving counts all that it is asked; None for what is none of it.
        """
        if not request.path.lower().startswith("/v1/"):
            return None
        if request.method == "POST" and (found := _POST.fullmatch(request.path)):
            return found["verb"].lower(), found["name"]
        found = _GET.fullmatch(request.path) if request.method == "GET" else None
        return "", (found["name"] or "") if found else ""

    async def _predict(self, ref: ModelRef, content: bytes) -> bytes:
        signatures = self._table.find(ref).engine.info.manifest.signatures
        body = await self._read(content, signatures)
        answer = await self._predictor.predict(self._query(ref, body))
        return await self._write(answer, body.rows)

    async def _classify(self, ref: ModelRef, content: bytes) -> bytes:
        found = await self._tasks.classify(await self._examples(ref, content))
        return await self._offload.run(is_long(found.scores.size), write_classes, found)

    async def _regress(self, ref: ModelRef, content: bytes) -> bytes:
        return write_values(await self._tasks.regress(await self._examples(ref, content)))

    async def _examples(self, ref: ModelRef, content: bytes) -> ExampleRequest:
        most = None if self._split_large else self._table.find(ref).engine.info.max_batch_size
        key, examples = await self._offload.run(is_large(content), read_examples, content, most)
        return ExampleRequest(ref, examples, key, self._deadline())

    async def _read(self, content: bytes, signatures: Mapping[str, Signature]) -> PredictBody:
        return await self._offload.run(is_large(content), read_predict, content, signatures)

    async def _write(self, answer: PredictResult, rows: bool) -> bytes:
        large = is_long(sum(array.size for array in answer.outputs.values()))
        return await self._offload.run(large, write_predict, dict(answer.outputs), rows)

    def _query(self, ref: ModelRef, body: PredictBody) -> Query:
        offers = {
            name: InputTensor(array.dtype.name, array.shape, partial(_same, array))
            for name, array in body.inputs.items()
        }
        return Query(ref, offers, signature=body.signature, deadline_ns=self._deadline())

    def _describe(self, found: re.Match[str]) -> dict[str, Any]:
        if not found["name"]:
            raise InvalidRequest("Missing model name in request.")
        ref = _ref(found)
        if found["metadata"]:
            return model_json.metadata(self._table.find(ref))
        return model_json.status(self._table.status(ref))


def _ref(found: re.Match[str]) -> ModelRef:
    version = found["version"]
    return ModelRef(found["name"], int(version) if version else None, found["label"])


def _same(array: Any) -> Any:
    return array


def _json(content: bytes) -> web.Response:
    return web.Response(body=content, content_type=JSON)
