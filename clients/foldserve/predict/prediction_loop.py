"""The prediction of a run's rows, in order, with requests in flight."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from foldserve_contract.signature import Array

from ..client import Client
from ..core.prediction import Prediction
from ..errors import ServerError
from ..stream import PredictionStream
from .dataset import DatasetReader
from .failing_rows import isolate_failing_rows, may_be_input_failure
from .input_source import RequestRows, RowFailure
from .partial_run import RunSpec
from .report import Advance
from .result_writer import ResultWriter


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows `start` to `stop`, read together; ended once all requests made of them have ended."""

    start: int
    stop: int
    failures: list[RowFailure]


class PredictionLoop:
    """Sends the rows of a run as a stream of requests, and writes the predictions in order.

    The queue of expected replies holds each request with its batch, and after a batch's requests the batch itself.
    """

    def __init__(
        self, client: Client, run_spec: RunSpec, reader: DatasetReader, writer: ResultWriter, advance: Advance
    ) -> None:
        self._client = client
        self._run_spec = run_spec
        self._reader = reader
        self._writer = writer
        self._advance = advance
        self._expected: deque[tuple[RequestRows, _Batch] | _Batch] = deque()

    def run(self) -> None:
        """Predicts every row that is not done yet.

        Raises:
            ServerError: The server failed, and single rows are not the cause.
        """
        run_spec = self._run_spec
        with self._client.stream(
            run_spec.model,
            self._requests(),
            version=run_spec.version,
            signature=run_spec.signature,
            outputs=run_spec.outputs,
        ) as stream:
            while self._finish_next(stream):
                self._end_batches()
        self._end_batches()

    def _finish_next(self, stream: PredictionStream) -> bool:
        """Writes or isolates the next request; False if there is none."""
        try:
            prediction = next(stream, None)
        except ServerError as error:
            if not may_be_input_failure(error):
                raise
            self._isolate_failures(*self._next_request())
            return True
        if prediction is not None:
            self._writer.predictions(self._next_request()[0].rows, prediction)
        return prediction is not None

    def _requests(self) -> Iterator[dict[str, Array]]:
        for start in range(self._writer.progress.rows, self._run_spec.rows, self._run_spec.batch):
            stop = min(start + self._run_spec.batch, self._run_spec.rows)
            rows = self._reader.read(start, stop)
            # replies come in the order of the requests, so the batch ends when it is first in the queue
            batch = _Batch(start, stop, list(rows.failures))
            self._expected.extend((request, batch) for request in rows.requests)
            self._expected.append(batch)
            yield from (request.arrays for request in rows.requests)

    def _next_request(self) -> tuple[RequestRows, _Batch]:
        self._end_batches()
        expected = self._expected.popleft()
        assert isinstance(expected, tuple), "ended batches have just been removed"
        return expected

    def _end_batches(self) -> None:
        while self._expected and isinstance(self._expected[0], _Batch):
            batch = self._expected.popleft()
            assert isinstance(batch, _Batch)
            self._writer.end_batch(batch.stop, sorted(batch.failures, key=lambda failure: failure.row))
            self._advance(batch.stop - batch.start)

    def _isolate_failures(self, request: RequestRows, batch: _Batch) -> None:
        passed, failed = isolate_failing_rows(request, self._predict)
        for rows, prediction in passed:
            self._writer.predictions(rows.rows, prediction)
        for row, error in failed:
            batch.failures.append(RowFailure(row.rows[0], self._reader.name_of(row.rows[0]), str(error)))

    def _predict(self, request: RequestRows) -> Prediction:
        run_spec = self._run_spec
        return self._client.predict_versioned(
            run_spec.model,
            request.arrays,
            version=run_spec.version,
            signature=run_spec.signature,
            outputs=run_spec.outputs,
        )
