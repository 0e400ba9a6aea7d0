"""Classify and Regress: a prediction for examples of features, its one output read as classes or as values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foldserve_contract.manifest import Manifest
from foldserve_contract.signature import DEFAULT_SIGNATURE, Array, Signature, TensorSpec

from ..errors import InvalidRequest, NotPossible
from ..models.query import ModelRef, PredictResult, Query
from ..models.routing_table import RoutingTable
from .examples import Example, input_tensors
from .handler import PredictHandler


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """Request to classify or to regress examples.

    Attributes:
        signature: The signature's key.
        examples: One for each row.
        deadline_ns: When the caller stops waiting, on CLOCK_MONOTONIC.
    """

    model: ModelRef
    examples: Sequence[Example]
    signature: str = DEFAULT_SIGNATURE
    deadline_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The labels of the classes, alike for every row, and the scores (rows, classes) in float32."""

    version: int
    labels: Sequence[str]
    scores: Array


@dataclass(frozen=True, slots=True)
class RegressionValues:
    """Value (rows,) in float32 for each row."""

    version: int
    values: Array


class ClassifyRegressHandler:
    """Handler of Classify and Regress, on top of the handler of predictions."""

    def __init__(self, table: RoutingTable, predictor: PredictHandler, max_bytes: int) -> None:
        """An input that is made of examples takes `max_bytes` at most."""
        self._max_bytes = max_bytes
        self._table = table
        self._predictor = predictor

    async def classify(self, request: ExampleRequest) -> ClassScores:
        """The scores of every class, in the model's order; without labels in the bundle they are called 0, 1, ….

        Raises:
            NotPossible: The model does not give one score for each class.
            ServingError: See `PredictHandler.predict`.
        """
        manifest, signature = self._signature(request)
        spec = _only_output(signature, "classification", "[rows, classes]")
        if len(spec.shape) != 2:
            raise _unfit(spec, "classification", "[rows, classes]")
        answer = await self._predict(request, signature)
        scores = answer.outputs[spec.name].astype(np.float32)
        return ClassScores(answer.version, _labels(manifest, scores.shape[1]), scores)

    async def regress(self, request: ExampleRequest) -> RegressionValues:
        """A value for each row.

        Raises:
            NotPossible: The model does not give one number for each row.
            ServingError: See `PredictHandler.predict`.
        """
        _, signature = self._signature(request)
        spec = _only_output(signature, "regression", "[rows] or [rows, 1]")
        if spec.row_shape not in ((), (1,)):
            raise _unfit(spec, "regression", "[rows] or [rows, 1]")
        answer = await self._predict(request, signature)
        return RegressionValues(answer.version, answer.outputs[spec.name].astype(np.float32).reshape(-1))

    def _signature(self, request: ExampleRequest) -> tuple[Manifest, Signature]:
        manifest = self._table.find(request.model).engine.info.manifest
        if request.signature not in manifest.signatures:
            raise InvalidRequest(f"No signature was found with the name: {request.signature}")
        return manifest, manifest.signatures[request.signature]

    async def _predict(self, request: ExampleRequest, signature: Signature) -> PredictResult:
        inputs = input_tensors(signature, request.examples, self._max_bytes)
        query = Query(request.model, inputs, signature=request.signature, deadline_ns=request.deadline_ns)
        answer = await self._predictor.predict(query)
        self._predictor.metric_counters.answered_examples(request.model.name, len(request.examples))
        return answer


def _only_output(signature: Signature, task: str, shape: str) -> TensorSpec:
    if len(signature.outputs) != 1:
        names = ", ".join(spec.name for spec in signature.outputs)
        raise NotPossible(f"{task} needs one output of shape {shape}; the model has {names}: use Predict")
    (spec,) = signature.outputs
    if np.dtype(spec.dtype).kind != "f":
        raise _unfit(spec, task, shape)
    return spec


def _unfit(spec: TensorSpec, task: str, shape: str) -> NotPossible:
    return NotPossible(
        f"{task} needs one output of floats of shape {shape};"
        f" {spec.name!r} is {spec.dtype} of shape {list(spec.shape)}: use Predict"
    )


def _labels(manifest: Manifest, classes: int) -> Sequence[str]:
    if manifest.labels is None:
        return [str(index) for index in range(classes)]
    if len(manifest.labels) != classes:
        raise NotPossible(f"the bundle has labels for {len(manifest.labels)} classes, and the model gives {classes}")
    return manifest.labels
