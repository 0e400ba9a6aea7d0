"""What can go wrong while exporting, each with the exit code the commands answer with.

```
FoldserveError
└── ExportError
    ├── CannotLoad           3   the file is not a model, or not one that can be read safely
    ├── Refused              4   the model cannot be exported safely; the message names the layer and the remedy
    │   └── NotFinite        4   what flows through it is no number
    └── VerificationFailed   5   an artifact does not answer as the model does; nothing was published
```
"""

from typing import TYPE_CHECKING

from foldserve_contract.errors import FoldserveError

if TYPE_CHECKING:
    from .report.record import Report


class ExportError(FoldserveError):
    """The model was not exported; nothing was published."""

    exit_code = 1


class CannotLoad(ExportError):
    """The file is not a Keras model, or not one that can be read safely."""

    exit_code = 3


class Refused(ExportError):
    """The model cannot be exported safely; the message names what and why."""

    exit_code = 4


class NotFinite(Refused):
    """What flows through the model is no number, so that nothing can be taken from it."""


class VerificationFailed(ExportError):
    """A candidate does not answer as the reference does.

    Attributes:
        report: What the export found, with every candidate's deviations.
    """

    exit_code = 5

    def __init__(self, message: str, report: "Report") -> None:
        super().__init__(message)
        self.report = report
