"""Classify, Regress and MultiInference of tensorflow.serving.PredictionService."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from foldserve_contract.protos.methods import PREDICTION_METHODS
from foldserve_contract.signature import DEFAULT_SIGNATURE

from ..errors import InvalidRequest, NotOffered
from ..models.query import ModelRef
from ..models.routing_table import RoutingTable
from ..predict.classify_regress import ClassifyRegressHandler, ClassScores, ExampleRequest, RegressionValues
from ..predict.examples import Example
from . import predict_messages
from .example_messages import examples

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


class ClassifyRegressServicer:
    """Answers Classify, Regress and MultiInference."""

    def __init__(
        self, table: RoutingTable, handler: ClassifyRegressHandler, deadline: Callable[[Any], int | None]
    ) -> None:
        """`deadline` gives the deadline of a call, on CLOCK_MONOTONIC; None without one."""
        self._table = table
        self._handler = handler
        self._deadline = deadline

    async def classify(self, request: Any, context: Any) -> Any:
        """ClassificationRequest to ClassificationResponse."""
        query = self._query(request.model_spec, predict_messages.model_ref(request), examples(request.input), context)
        scores = await self._handler.classify(query)
        message = PREDICTION_METHODS["Classify"].response()
        _set_model_spec(message.model_spec, query, scores.version)
        _add_classes(message.result, scores)
        return message

    async def regress(self, request: Any, context: Any) -> Any:
        """RegressionRequest to RegressionResponse."""
        query = self._query(request.model_spec, predict_messages.model_ref(request), examples(request.input), context)
        values = await self._handler.regress(query)
        message = PREDICTION_METHODS["Regress"].response()
        _set_model_spec(message.model_spec, query, values.version)
        _add_values(message.result, values)
        return message

    async def multi_inference(self, request: Any, context: Any) -> Any:
        """MultiInferenceRequest to MultiInferenceResponse: every task of the same model and the same version."""
        # 1. tasks that belong together, all of one model
        if not request.tasks:
            raise InvalidRequest("Inference request must have at least one task.")
        _check_tasks(request.tasks)
        refs = {predict_messages.model_ref(task) for task in request.tasks}
        if len({ref.name for ref in refs}) > 1:
            raise InvalidRequest("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        # 2. versions by number, so that a reload between two tasks does not separate them
        pinned = {ref: ModelRef(ref.name, self._table.find(ref).version) for ref in refs}
        # 3. the tasks side by side, over examples that are read once
        message = PREDICTION_METHODS["MultiInference"].response()
        rows, running = examples(request.input), []
        for task in request.tasks:
            query = self._query(task.model_spec, pinned[predict_messages.model_ref(task)], rows, context)
            running.append(self._run(task.method_name, query, message.results.add()))
        await asyncio.gather(*running)
        return message

    async def _run(self, method: str, query: ExampleRequest, result: Any) -> None:
        if method == CLASSIFY:
            scores = await self._handler.classify(query)
            _set_model_spec(result.model_spec, query, scores.version)
            _add_classes(result.classification_result, scores)
        else:
            values = await self._handler.regress(query)
            _set_model_spec(result.model_spec, query, values.version)
            _add_values(result.regression_result, values)

    def _query(self, spec: Any, ref: ModelRef, rows: Sequence[Example], context: Any) -> ExampleRequest:
        signature = spec.signature_name or DEFAULT_SIGNATURE
        return ExampleRequest(ref, rows, signature, self._deadline(context))


def _check_tasks(tasks: Any) -> None:
    seen: set[tuple[str, str]] = set()
    for task in tasks:
        if task.method_name not in (CLASSIFY, REGRESS):
            raise NotOffered(f"Unsupported signature method_name: {task.method_name}")
        key = (task.model_spec.signature_name, task.method_name)
        if key in seen:
            raise InvalidRequest(f"Duplicate evaluation of signature: {key[0]}")
        seen.add(key)


def _set_model_spec(spec: Any, query: ExampleRequest, version: int) -> None:
    spec.name, spec.signature_name, spec.version.value = query.model.name, query.signature, version


def _add_classes(result: Any, scores: ClassScores) -> None:
    for row in scores.scores.tolist():
        classes = result.classifications.add().classes
        for label, score in zip(scores.labels, row, strict=True):
            classes.add(label=label, score=score)


def _add_values(result: Any, values: RegressionValues) -> None:
    for value in values.values.tolist():
        result.regressions.add(value=value)
