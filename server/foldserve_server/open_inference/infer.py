"""One inference, whichever transport it came over."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..errors import DeadlineExceeded, InvalidRequest, QueueFull, Unavailable
from ..models.query import InputTensor, ModelRef, PredictResult, Query
from ..models.table import Table
from ..predict.handler import Clock, PredictHandler
from ..predict.request_limits import RequestLimits
from .model_lookup import find
from .request_check import RequestHeader, check


@dataclass(frozen=True, slots=True)
class InferResult:
    """An answer, and the labels of the model's classes."""

    answer: PredictResult
    labels: tuple[str, ...] | None


class InferHandler:
    """Checks requests in Triton's words and has them computed."""

    def __init__(self, table: Table, predictor: PredictHandler, limits: RequestLimits, clock: Clock) -> None:
        self._table = table
        self._predictor = predictor
        self._limits = limits
        self._clock = clock

    async def infer(
        self,
        ref: ModelRef,
        asked: RequestHeader,
        offers: Callable[[], Mapping[str, InputTensor]],
        deadline_ns: int | None = None,
        timeout_us: int = 0,
    ) -> InferResult:
        """The answer.

        Args:
            ref: The model.
            asked: What is asked of it.
            offers: Gives the inputs, once `asked` was found to be in order.
            deadline_ns: When the caller stops waiting, on CLOCK_MONOTONIC.
            timeout_us: Microseconds it may take, as the request says; 0 for any time.

        Raises:
            ServingError: There is none.
        """
        servable, begun = find(self._table, ref), self._clock()
        engine = servable.engine
        manifest = engine.info.manifest
        try:
            check(ref.name, manifest.signature, None if self._limits.split_large else engine.info.max_batch_size, asked)
        except InvalidRequest as error:
            servable.stats.fail(error, self._clock() - begun)  # as the predictor does with what it refuses
            raise
        timeout = self._clock() + timeout_us * 1000 if timeout_us > 0 else None
        soonest = _soonest((deadline_ns, timeout))
        query = Query(ref, offers(), tuple(dict.fromkeys(tensor.name for tensor in asked.outputs)), deadline_ns=soonest)
        try:
            return InferResult(await self._predictor.predict(query), manifest.labels)
        except DeadlineExceeded:
            if soonest == timeout:
                raise Unavailable("Request timeout expired") from None
            raise
        except QueueFull as error:
            raise QueueFull(f"Exceeds maximum queue size: {error}", error.retry_after_ms) from None


def _soonest(ends: Iterable[int | None]) -> int | None:
    return min((end for end in ends if end is not None), default=None)
