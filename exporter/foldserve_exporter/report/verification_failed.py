"""The error of an export whose artifacts do not answer as the model does."""

from ..errors import ExportError
from .record import Report


class VerificationFailed(ExportError):
    """A candidate does not answer as the reference does; nothing was published.

    Attributes:
        report: The report of the export, with every candidate's deviations.
    """

    exit_code = 5

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


class BatchDependent(VerificationFailed):
    """The model itself answers a row differently among other rows, so that no artifact could be right."""

    exit_code = 4
