"""Search for the rows that make a request fail."""

from collections.abc import Callable

from ..core.prediction import Prediction
from ..errors import InvalidInput, ServerError
from ..status import Status
from .input_source import RequestRows

INPUT_FAILURES = frozenset(
    {Status.INVALID_ARGUMENT, Status.OUT_OF_RANGE, Status.FAILED_PRECONDITION, Status.INTERNAL, Status.UNKNOWN}
)

Predict = Callable[[RequestRows], Prediction]
PassedRows = tuple[RequestRows, Prediction]
FailedRows = tuple[RequestRows, ServerError]


def may_be_input_failure(error: ServerError) -> bool:
    """Tests whether the rows may be the cause of an error, so that other rows may pass."""
    return error.status in INPUT_FAILURES


def isolate_failing_rows(request: RequestRows, predict: Predict) -> tuple[list[PassedRows], list[FailedRows]]:
    """Halves a failed request until each half passes or is a single row.

    Raises:
        ServerError: The server is the cause: it is not reached, or no row passes and it does not report that the
            input is wrong.
    """
    passed, failed = _halve(request, predict)
    if not passed and not all(isinstance(error, InvalidInput) for _, error in failed):
        raise failed[0][1]
    return passed, failed


def _halve(request: RequestRows, predict: Predict) -> tuple[list[PassedRows], list[FailedRows]]:
    try:
        return [(request, predict(request))], []
    except ServerError as error:
        if not may_be_input_failure(error):
            raise
        if len(request.rows) == 1:
            return [], [(request, error)]
    middle = len(request.rows) // 2
    left, right = (
        _halve(half, predict) for half in (_slice(request, 0, middle), _slice(request, middle, len(request.rows)))
    )
    return left[0] + right[0], left[1] + right[1]


def _slice(request: RequestRows, start: int, stop: int) -> RequestRows:
    return RequestRows(request.rows[start:stop], {name: array[start:stop] for name, array in request.arrays.items()})
