"""Streams of predictions."""

from collections.abc import Awaitable, Callable

from .core.flow import adrive, drive
from .core.pipeline import Pipeline
from .core.prediction import Prediction
from .transport.protocol import AsyncPendingCall, SyncPendingCall


class PredictionStream:
    """Predictions of a `Client`'s batches, in order.

    A batch that the server refuses raises from its `next` and does not end the stream: the following `next` gives the
    prediction of the following batch. `close`, or leaving the `with`, cancels the requests in flight.
    """

    def __init__(self, pipeline: Pipeline[SyncPendingCall], sleep: Callable[[float], None]) -> None:
        self._pipeline = pipeline
        self._sleep = sleep

    def __iter__(self) -> "PredictionStream":
        return self

    def __next__(self) -> Prediction:
        prediction = drive(self._pipeline.next(), self._sleep)
        if prediction is None:
            raise StopIteration
        return prediction

    def close(self) -> None:
        """Cancels the requests in flight; the stream is then exhausted."""
        self._pipeline.close()

    def __enter__(self) -> "PredictionStream":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncPredictionStream:
    """Predictions of an `AsyncClient`'s batches; see `PredictionStream`."""

    def __init__(self, pipeline: Pipeline[AsyncPendingCall], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._pipeline = pipeline
        self._sleep = sleep

    def __aiter__(self) -> "AsyncPredictionStream":
        return self

    async def __anext__(self) -> Prediction:
        prediction = await adrive(self._pipeline.next(), self._sleep)
        if prediction is None:
            raise StopAsyncIteration
        return prediction

    def close(self) -> None:
        """Cancels the requests in flight; the stream is then exhausted."""
        self._pipeline.close()

    async def __aenter__(self) -> "AsyncPredictionStream":
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()
