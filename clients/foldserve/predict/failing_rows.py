"""Finding the rows that make a batch fail."""

from collections.abc import Callable

from ..core.prediction import Prediction
from ..errors import InvalidInput, ServerError
from ..status import Status
from .input_source import RequestRows

BLAMES_INPUT = frozenset(
    {Status.INVALID_ARGUMENT, Status.OUT_OF_RANGE, Status.FAILED_PRECONDITION, Status.INTERNAL, Status.UNKNOWN}
)

Predict = Callable[[RequestRows], Prediction]
PassedRows = tuple[RequestRows, Prediction]
FailedRows = tuple[RequestRows, ServerError]


def may_be_the_input(error: ServerError) -> bool:
    """Whether other rows may pass where these failed."""
    return error.status in BLAMES_INPUT


def isolate_failing_rows(request: RequestRows, predict: Predict) -> tuple[list[PassedRows], list[FailedRows]]:
    """Halves a failed part until each half passes or is a single row.

    Raises:
        ServerError: The server is at fault: it is not reached, or it does not say that the input is wrong and no
            row of the part passes.
    """
    answered, refused = _halve(request, predict)
    if not answered and not all(isinstance(error, InvalidInput) for _, error in refused):
        raise refused[0][1]
    return answered, refused


def _halve(request: RequestRows, predict: Predict) -> tuple[list[PassedRows], list[FailedRows]]:
    try:
        return [(request, predict(request))], []
    except ServerError as error:
        if not may_be_the_input(error):
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
