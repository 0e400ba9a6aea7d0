"""Pipelined requests: bounded in number, answered in order and by one version."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic

from foldserve_contract.signature import Arrays

from ..errors import FoldserveError, ProtocolError
from ..transport.protocol import PendingT
from .address import ModelAddress
from .flow import Flow
from .prediction import PATH, Prediction, parse_prediction, predict_request
from .retrying_call import RetryingCall, Sender


class Pipeline(Generic[PendingT]):
    """Sends batches ahead and returns their predictions in order.

    Only one request is in flight until the first response names its version; all further requests ask for that
    version. A batch that fails raises from its `next`; later batches stay in flight, so that a caller may continue.
    """

    def __init__(
        self,
        sender: Sender[PendingT],
        address: ModelAddress,
        batches: Iterator[Any],
        *,
        prepare: Callable[[Any], Arrays],
        outputs: Sequence[str],
        in_flight: int,
        deadline: Callable[[], float],
    ) -> None:
        self._sender = sender
        self._address = address
        self._batches = batches
        self._prepare = prepare
        self._outputs = outputs
        self._most_in_flight = in_flight
        self._deadline = deadline
        self._calls: deque[RetryingCall[PendingT] | FoldserveError] = deque()
        self._has_more = True
        self._answered = False

    @property
    def address(self) -> ModelAddress:
        """The model, at the version of the first response once it has arrived."""
        return self._address

    def next(self) -> Flow[PendingT, Prediction | None]:
        """Waits for the prediction of the next batch; None after the last."""
        self._fill()
        if not self._calls:
            return None
        call = self._calls.popleft()
        if isinstance(call, FoldserveError):
            raise call
        try:
            body = yield from call.response()
        finally:
            call.cancel()
        prediction = parse_prediction(body, self._address)
        self._answered = True
        self._pin(prediction)
        return prediction

    def close(self) -> None:
        """Cancels all requests in flight."""
        self._has_more = False
        while self._calls:
            call = self._calls.popleft()
            if not isinstance(call, FoldserveError):
                call.cancel()

    def _fill(self) -> None:
        # until the first response has pinned the version, a second request might reach another version
        limit = self._most_in_flight if self._address.pinned else 1
        while self._has_more and len(self._calls) < limit:
            batch = next(self._batches, None)
            if batch is None:
                self._has_more = False
                return
            if self._answered and not self._address.pinned:
                raise ProtocolError(f"the server does not report which version of {self._address} answers; name one")
            self._calls.append(self._begin(batch))

    def _begin(self, batch: Any) -> RetryingCall[PendingT] | FoldserveError:
        """Starts the request of a batch; a batch that cannot be sent keeps its place in the order, as an error."""
        try:
            body = predict_request(self._address, self._prepare(batch), self._outputs)
            return self._sender.begin(PATH, body, self._deadline())
        except FoldserveError as error:
            return error

    def _pin(self, prediction: Prediction) -> None:
        if prediction.version is None:
            return
        if not self._address.pinned:
            self._address = self._address.at(prediction.version)
        elif prediction.version != self._address.version:
            raise ProtocolError(f"version {self._address.version} was asked for, {prediction.version} answered")
