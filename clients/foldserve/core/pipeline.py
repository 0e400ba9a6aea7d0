"""Requests on their way, bounded in number, answered in order and by one version."""

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
    """Sends batches ahead and gives their predictions back in order.

    Until the first answer has told its version only one request flies; from then on that version is asked for.
    A batch that fails raises from its `next`; the ones after it fly on, so that a caller may go on.
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
        self._in_flight = in_flight
        self._deadline = deadline
        self._flying: deque[RetryingCall[PendingT] | FoldserveError] = deque()
        self._more = True
        self._answered = False

    @property
    def address(self) -> ModelAddress:
        """The model, at the version that answered first once it has."""
        return self._address

    def next(self) -> Flow[PendingT, Prediction | None]:
        """The prediction for the next batch, or None after the last."""
        self._fill()
        if not self._flying:
            return None
        attempt = self._flying.popleft()
        if isinstance(attempt, FoldserveError):
            raise attempt
        try:
            body = yield from attempt.response()
        finally:
            attempt.cancel()
        prediction = parse_prediction(body, self._address)
        self._answered = True
        self._pin(prediction)
        return prediction

    def close(self) -> None:
        """Gives up everything in flight."""
        self._more = False
        while self._flying:
            attempt = self._flying.popleft()
            if not isinstance(attempt, FoldserveError):
                attempt.cancel()

    def _fill(self) -> None:
        limit = self._in_flight if self._address.pinned else 1
        while self._more and len(self._flying) < limit:
            batch = next(self._batches, None)
            if batch is None:
                self._more = False
                return
            if self._answered and not self._address.pinned:
                raise ProtocolError(f"the server does not tell which version of {self._address} answers; name one")
            self._flying.append(self._begin(batch))

    def _begin(self, batch: Any) -> RetryingCall[PendingT] | FoldserveError:
        """A batch that cannot even be sent keeps its place in the order, as its error."""
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
