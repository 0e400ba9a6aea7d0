"""Finding the rows that make a batch fail."""

from collections.abc import Callable

from ..core.prediction import Prediction
from ..errors import InvalidInput, ServerError
from ..status import Status
from .source import Part

BLAMES_INPUT = frozenset(
    {Status.INVALID_ARGUMENT, Status.OUT_OF_RANGE, Status.FAILED_PRECONDITION, Status.INTERNAL, Status.UNKNOWN}
)

Predict = Callable[[Part], Prediction]
Answered = tuple[Part, Prediction]
Refused = tuple[Part, ServerError]


def may_be_the_input(error: ServerError) -> bool:
    """Whether other rows may pass where these failed."""
    return error.status in BLAMES_INPUT


def recover(part: Part, predict: Predict) -> tuple[list[Answered], list[Refused]]:
    """Halves a failed part until each half passes or is a single row.

    Raises:
        ServerError: The server is at fault: it is not reached, or it does not say that the input is wrong and no
            row of the part passes.
    """
    answered, refused = _halve(part, predict)
    if not answered and not all(isinstance(error, InvalidInput) for _, error in refused):
        raise refused[0][1]
    return answered, refused


def _halve(part: Part, predict: Predict) -> tuple[list[Answered], list[Refused]]:
    try:
        return [(part, predict(part))], []
    except ServerError as error:
        if not may_be_the_input(error):
            raise
        if len(part.rows) == 1:
            return [], [(part, error)]
    middle = len(part.rows) // 2
    left, right = (_halve(half, predict) for half in (_slice(part, 0, middle), _slice(part, middle, len(part.rows))))
    return left[0] + right[0], left[1] + right[1]


def _slice(part: Part, start: int, stop: int) -> Part:
    return Part(part.rows[start:stop], {name: array[start:stop] for name, array in part.arrays.items()})
