"""Routes of TensorFlow Serving's REST interface."""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from foldserve_contract.repository import VERSION_PATTERN
from foldserve_contract.signature import Signature

from ...errors import InvalidRequest
from ...models.query import InputTensor, ModelRef, PredictResult, Query
from ...models.routing_table import RoutingTable
from ...predict.classify_regress import ClassifyRegressHandler, ExampleRequest
from ...predict.handler import PredictHandler
from ..json_pool import JsonPool, are_many, is_large
from ..request_body import read_body
from . import model_json
from .example_json import read_examples, write_classes, write_values
from .predict_json import PredictBody, dump, read_predict, write_predict

_VERSION_OR_LABEL = rf"(?:/versions/(?P<version>{VERSION_PATTERN})|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION_OR_LABEL}:(?P<verb>predict|classify|regress)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION_OR_LABEL}(?P<metadata>/metadata)?", re.IGNORECASE)
JSON = "application/json"
Verb = Callable[[ModelRef, bytes], Awaitable[bytes]]


class PredictRoutes:
    """Answers everything below `/v1/`."""

    def __init__(
        self,
        table: RoutingTable,
        predictor: PredictHandler,
        json_pool: JsonPool,
        deadline: Callable[[], int | None],
        max_bytes: int,
        split_large: bool,
    ) -> None:
        """Sets up the routes.

        Args:
            table: The models.
            predictor: Computes the predictions.
            json_pool: Reads and writes large JSON.
            deadline: Gives the deadline of a request that arrives now, on CLOCK_MONOTONIC; None for none.
            max_bytes: The most bytes of an input that is made of examples.
            split_large: True if requests larger than a batch are split, and so not refused.
        """
        self._table = table
        self._predictor = predictor
        self._deadline = deadline
        self._json_pool = json_pool
        self._split_large = split_large
        self._classify_regress = ClassifyRegressHandler(table, predictor, max_bytes)
        self._verbs: Mapping[str, Verb] = {
            "predict": self._predict,
            "classify": self._classify,
            "regress": self._regress,
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answers a request, or raises a `ServingError`."""
        if request.method == "POST" and (match := _POST.fullmatch(request.path)):
            content = await read_body(request)
            return _json(await self._verbs[match["verb"].lower()](_ref(match), content))
        if request.method == "GET" and (match := _GET.fullmatch(request.path)):
            return _json(dump(self._describe(match)))
        raise InvalidRequest(f"Malformed request: {request.method} {request.path}")

    def api_and_model(self, request: web.Request) -> tuple[str, str] | None:
        """The kind of inference (empty for other requests) and the model's name (empty where missing), for metrics.

        As in TensorFlow Serving, every request below `/v1/` is counted; None for others.
        """
        if not request.path.lower().startswith("/v1/"):
            return None
        if request.method == "POST" and (match := _POST.fullmatch(request.path)):
            return match["verb"].lower(), match["name"]
        match = _GET.fullmatch(request.path) if request.method == "GET" else None
        return "", (match["name"] or "") if match else ""

    async def _predict(self, ref: ModelRef, content: bytes) -> bytes:
        signatures = self._table.find(ref).engine.info.manifest.signatures
        body = await self._read(content, signatures)
        answer = await self._predictor.predict(self._query(ref, body))
        return await self._write(answer, body.rows)

    async def _classify(self, ref: ModelRef, content: bytes) -> bytes:
        scores = await self._classify_regress.classify(await self._examples(ref, content))
        return await self._json_pool.run(are_many(scores.scores.size), write_classes, scores)

    async def _regress(self, ref: ModelRef, content: bytes) -> bytes:
        return write_values(await self._classify_regress.regress(await self._examples(ref, content)))

    async def _examples(self, ref: ModelRef, content: bytes) -> ExampleRequest:
        most = None if self._split_large else self._table.find(ref).engine.info.max_batch_size
        key, examples = await self._json_pool.run(is_large(content), read_examples, content, most)
        return ExampleRequest(ref, examples, key, self._deadline())

    async def _read(self, content: bytes, signatures: Mapping[str, Signature]) -> PredictBody:
        return await self._json_pool.run(is_large(content), read_predict, content, signatures)

    async def _write(self, answer: PredictResult, rows: bool) -> bytes:
        large = are_many(sum(array.size for array in answer.outputs.values()))
        return await self._json_pool.run(large, write_predict, dict(answer.outputs), rows)

    def _query(self, ref: ModelRef, body: PredictBody) -> Query:
        inputs = {
            name: InputTensor(array.dtype.name, array.shape, partial(_identity, array))
            for name, array in body.inputs.items()
        }
        return Query(ref, inputs, signature=body.signature, deadline_ns=self._deadline())

    def _describe(self, match: re.Match[str]) -> dict[str, Any]:
        if not match["name"]:
            raise InvalidRequest("Missing model name in request.")
        ref = _ref(match)
        if match["metadata"]:
            return model_json.metadata(self._table.find(ref))
        return model_json.status(self._table.status(ref))


def _ref(match: re.Match[str]) -> ModelRef:
    version = match["version"]
    return ModelRef(match["name"], int(version) if version else None, match["label"])


def _identity(array: Any) -> Any:
    return array


def _json(content: bytes) -> web.Response:
    return web.Response(body=content, content_type=JSON)
