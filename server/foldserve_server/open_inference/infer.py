"""Handler of inference requests, the same for gRPC and HTTP."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..errors import DeadlineExceeded, InvalidRequest, QueueFull, Unavailable
from ..models.query import InputTensor, ModelRef, PredictResult, Query
from ..models.routing_table import RoutingTable
from ..models.servable import Servable
from ..predict.handler import Clock, PredictHandler
from ..predict.request_options import RequestOptions
from .model_lookup import find
from .validate_request import RequestHeader, check


@dataclass(frozen=True, slots=True)
class InferResult:
    """A prediction, and the labels of the model's classes."""

    answer: PredictResult
    labels: tuple[str, ...] | None


class InferHandler:
    """Checks requests with Triton's messages, and passes them to the predictor."""

    def __init__(self, table: RoutingTable, predictor: PredictHandler, limits: RequestOptions, clock: Clock) -> None:
        self._table = table
        self._predictor = predictor
        self._limits = limits
        self._clock = clock

    async def infer(
        self,
        ref: ModelRef,
        header: RequestHeader,
        input_tensors: Callable[[], Mapping[str, InputTensor]],
        deadline_ns: int | None = None,
        timeout_us: int = 0,
    ) -> InferResult:
        """Computes the answer.

        Args:
            ref: The model.
            header: The names, types and shapes of the request's tensors.
            input_tensors: Gives the inputs, after the header has passed its check.
            deadline_ns: The time at which the caller stops waiting, on CLOCK_MONOTONIC.
            timeout_us: The request's own limit in microseconds; 0 for any time.

        Raises:
            ServingError: The request is not answered.
        """
        # 1. the check of the header
        servable = find(self._table, ref)
        labels = servable.engine.info.manifest.labels
        self._check(servable, header)
        # 2. the query: every wanted output once, the earlier of the two limits as its deadline
        timeout = self._clock() + timeout_us * 1000 if timeout_us > 0 else None
        soonest = _soonest((deadline_ns, timeout))
        outputs = tuple(dict.fromkeys(tensor.name for tensor in header.outputs))
        query = Query(ref, input_tensors(), outputs, deadline_ns=soonest)
        # 3. the prediction, its refusals in Triton's words
        try:
            return InferResult(await self._predictor.predict(query), labels)
        except DeadlineExceeded:
            if soonest == timeout:
                raise Unavailable("Request timeout expired") from None
            raise
        except QueueFull as error:
            raise QueueFull(f"Exceeds maximum queue size: {error}", error.retry_after_ms) from None

    def _check(self, servable: Servable, header: RequestHeader) -> None:
        """Checks a request; a refusal counts as a failure of the version, as one of the predictor's does."""
        info, begun = servable.engine.info, self._clock()
        max_rows = None if self._limits.split_large else info.max_batch_size
        try:
            check(servable.name, info.manifest.signature, max_rows, header)
        except InvalidRequest as error:
            servable.stats.fail(error, self._clock() - begun)
            raise


def _soonest(ends: Iterable[int | None]) -> int | None:
    return min((end for end in ends if end is not None), default=None)
