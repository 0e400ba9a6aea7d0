"""Classify, Regress and MultiInference of tensorflow.serving.PredictionService."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from foldserve_contract.protos.methods import PREDICTION_METHODS
from foldserve_contract.signature import DEFAULT_SIGNATURE

from ..errors import InvalidRequest, NotOffered
from ..models.query import ModelRef
from ..models.table import Table
from ..predict.classify_regress import ClassifyRegressHandler, ClassScores, ExampleRequest, RegressionValues
from ..predict.examples import Example
from . import predict_messages
from .example_messages import examples

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


class ClassifyRegressServicer:
    """The three of them."""

    def __init__(self, table: Table, tasks: ClassifyRegressHandler, deadline: Callable[[Any], int | None]) -> None:
        """`deadline` gives a call's, on CLOCK_MONOTONIC."""
        self._table = table
        self._tasks = tasks
        self._deadline = deadline

    async def classify(self, request: Any, context: Any) -> Any:
        """ClassificationRequest to ClassificationResponse."""
        asked = self._request(request.model_spec, predict_messages.model_ref(request), examples(request.input), context)
        found = await self._tasks.classify(asked)
        message = PREDICTION_METHODS["Classify"].response()
        _specify(message.model_spec, asked, found.version)
        _add_classes(message.result, found)
        return message

    async def regress(self, request: Any, context: Any) -> Any:
        """RegressionRequest to RegressionResponse."""
        asked = self._request(request.model_spec, predict_messages.model_ref(request), examples(request.input), context)
        found = await self._tasks.regress(asked)
        message = PREDICTION_METHODS["Regress"].response()
        _specify(message.model_spec, asked, found.version)
        _add_values(message.result, found)
        return message

    async def multi_inference(self, request: Any, context: Any) -> Any:
        """MultiInferenceRequest to MultiInferenceResponse: every task of the same model and the same version."""
        if not request.tasks:
            raise InvalidRequest("Inference request must have at least one task.")
        _check_tasks(request.tasks)
        refs = {predict_messages.model_ref(task) for task in request.tasks}
        if len({ref.name for ref in refs}) > 1:
            raise InvalidRequest("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        pinned = {ref: ModelRef(ref.name, self._table.find(ref).version) for ref in refs}
        message = PREDICTION_METHODS["MultiInference"].response()
        given, running = examples(request.input), []
        for task in request.tasks:
            asked = self._request(task.model_spec, pinned[predict_messages.model_ref(task)], given, context)
            running.append(self._run(task.method_name, asked, message.results.add()))
        await asyncio.gather(*running)
        return message

    async def _run(self, method: str, asked: ExampleRequest, result: Any) -> None:
        if method == CLASSIFY:
            classes = await self._tasks.classify(asked)
            _specify(result.model_spec, asked, classes.version)
            _add_classes(result.classification_result, classes)
        else:
            values = await self._tasks.regress(asked)
            _specify(result.model_spec, asked, values.version)
            _add_values(result.regression_result, values)

    def _request(self, spec: Any, ref: ModelRef, given: Sequence[Example], context: Any) -> ExampleRequest:
        signature = spec.signature_name or DEFAULT_SIGNATURE
        return ExampleRequest(ref, given, signature, self._deadline(context))


def _check_tasks(tasks: Any) -> None:
    seen: set[tuple[str, str]] = set()
    for task in tasks:
        if task.method_name not in (CLASSIFY, REGRESS):
            raise NotOffered(f"Unsupported signature method_name: {task.method_name}")
        key = (task.model_spec.signature_name, task.method_name)
        if key in seen:
            raise InvalidRequest(f"Duplicate evaluation of signature: {key[0]}")
        seen.add(key)


def _specify(spec: Any, asked: ExampleRequest, version: int) -> None:
    spec.name, spec.signature_name, spec.version.value = asked.model.name, asked.signature, version


def _add_classes(result: Any, found: ClassScores) -> None:
    for row in found.scores.tolist():
        classes = result.classifications.add().classes
        for label, score in zip(found.labels, row, strict=True):
            classes.add(label=label, score=score)


def _add_values(result: Any, found: RegressionValues) -> None:
    for value in found.values.tolist():
        result.regressions.add(value=value)
