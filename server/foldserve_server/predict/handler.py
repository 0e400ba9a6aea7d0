"""Handler of predictions: from a query to its outputs."""

from collections.abc import Callable

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.manifest import Manifest
from foldserve_contract.signature import Array, Signature, TensorSpec

from ..context.call import current_api
from ..context.span import Span, Tracer, untraced
from ..errors import DeadlineExceeded, EngineFailed, SignatureNotFound
from ..models.query import PredictResult, Query
from ..models.routing_table import RoutingTable
from ..models.servable import Servable
from ..stats.metric_counters import MetricCounters
from .request_options import RequestOptions
from .validate import check_headers, check_names, read, wanted_outputs

Clock = Callable[[], int]


class PredictHandler:
    """Finds the version, checks the request against its signature, and has it computed.

    Attributes:
        metric_counters: Counts rows, latencies and bytes in progress.
    """

    def __init__(
        self,
        table: RoutingTable,
        limits: RequestOptions,
        clock: Clock,
        metric_counters: MetricCounters,
        tracer: Tracer = untraced,
    ) -> None:
        self._table = table
        self._limits = limits
        self._clock = clock
        self.metric_counters = metric_counters
        self._tracer = tracer

    async def predict(self, query: Query) -> PredictResult:
        """The answer.

        Raises:
            ServingError: There is none; see `errors`.
        """
        with self._tracer(query.model.name) as span:
            return await self._predict(query, span)

    async def _predict(self, query: Query, span: Span) -> PredictResult:
        begun = self._clock()
        servable = self._table.find(query.model)
        try:
            answer = await self._answer(servable, query)
        except BaseException as error:
            servable.stats.fail(error, self._clock() - begun)
            raise
        rows, took_ns = next(iter(answer.outputs.values())).shape[0], self._clock() - begun
        servable.stats.succeed(rows, took_ns)
        span.served(servable.version, rows)
        return answer

    async def _answer(self, servable: Servable, query: Query) -> PredictResult:
        with servable.lease() as engine:
            signature = signature_named(engine.info.manifest, query.signature)
            check_names(signature, query.inputs)
            wanted = wanted_outputs(signature, query.outputs)
            rows = check_headers(
                signature, query.inputs, None if self._limits.split_large else engine.info.max_batch_size
            )
            inputs = read(signature, query.inputs, self._limits)
            if not rows:
                return PredictResult(servable.version, {spec.name: _empty(spec) for spec in wanted})
            if query.deadline_ns is not None and self._clock() >= query.deadline_ns:
                raise DeadlineExceeded("the deadline passed before the request was computed")
            begun = self._clock()
            outputs = await engine.predict(inputs, query.deadline_ns, query.exact)
            self.metric_counters.start_message(sum(array.nbytes for array in outputs.values()))
            self.metric_counters.ran(servable.name, current_api(), engine.info.kind, rows, self._clock() - begun)
        try:
            return PredictResult(servable.version, {spec.name: outputs[spec.name] for spec in wanted})
        except KeyError as error:
            raise EngineFailed(f"{servable}: the engine gave no output {error}") from error


def signature_named(manifest: Manifest, name: str) -> Signature:
    """The signature of that key.

    Raises:
        SignatureNotFound: The model has none.
    """
    try:
        return manifest.signatures[name]
    except KeyError:
        raise SignatureNotFound(f'Serving signature key "{name}" not found.') from None


def _empty(spec: TensorSpec) -> Array:
    return np.zeros((0, *(max(size, 0) for size in spec.row_shape)), dtype_named(spec.dtype).numpy)
