"""The rows of a run through the server, in order."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from foldserve_contract.signature import Array

from ..client import Client
from ..core.prediction import Prediction
from ..errors import ServerError
from ..stream import PredictionStream
from .collector import Collector
from .dataset import Readers
from .partial import Job
from .recover import may_be_the_input, recover
from .report import Advance
from .source import Part, RowFailure


@dataclass(frozen=True, slots=True)
class _Batch:
    start: int
    stop: int
    failures: list[RowFailure]


class Work:
    """Requests on their way, and what is expected of them in order."""

    def __init__(self, client: Client, job: Job, readers: Readers, collector: Collector, advance: Advance) -> None:
        self._client = client
        self._job = job
        self._readers = readers
        self._collector = collector
        self._advance = advance
        self._expected: deque[tuple[Part, _Batch] | _Batch] = deque()

    def do(self) -> None:
        """Predicts every row that is not done yet.

        Raises:
            ServerError: The server failed, and not because of single rows.
        """
        job = self._job
        with self._client.stream(
            job.model, self._parts(), version=job.version, signature=job.signature, outputs=job.outputs
        ) as stream:
            while self._settle_next(stream):
                self._end_batches()
        self._end_batches()

    def _settle_next(self, stream: PredictionStream) -> bool:
        """Brings the next part to its end; whether there was one."""
        try:
            prediction = next(stream, None)
        except ServerError as error:
            if not may_be_the_input(error):
                raise
            self._recover(*self._next_part())
            return True
        if prediction is not None:
            self._collector.predictions(self._next_part()[0].rows, prediction)
        return prediction is not None

    def _parts(self) -> Iterator[dict[str, Array]]:
        for start in range(self._collector.progress.rows, self._job.rows, self._job.batch):
            stop = min(start + self._job.batch, self._job.rows)
            rows = self._readers.read(start, stop)
            batch = _Batch(start, stop, list(rows.failures))
            self._expected.extend((part, batch) for part in rows.parts)
            self._expected.append(batch)
            yield from (part.arrays for part in rows.parts)

    def _next_part(self) -> tuple[Part, _Batch]:
        self._end_batches()
        expected = self._expected.popleft()
        assert isinstance(expected, tuple), "ended batches have just been taken away"
        return expected

    def _end_batches(self) -> None:
        while self._expected and isinstance(self._expected[0], _Batch):
            batch = self._expected.popleft()
            assert isinstance(batch, _Batch)
            self._collector.end_batch(batch.stop, sorted(batch.failures, key=lambda failure: failure.row))
            self._advance(batch.stop - batch.start)

    def _recover(self, part: Part, batch: _Batch) -> None:
        answered, refused = recover(part, self._predict)
        for good, prediction in answered:
            self._collector.predictions(good.rows, prediction)
        for bad, error in refused:
            batch.failures.append(RowFailure(bad.rows[0], self._readers.name_of(bad.rows[0]), str(error)))

    def _predict(self, part: Part) -> Prediction:
        job = self._job
        return self._client.predict_versioned(
            job.model, part.arrays, version=job.version, signature=job.signature, outputs=job.outputs
        )
