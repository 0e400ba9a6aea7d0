"""Errors of an export, each with its exit code.

```
OSError
└── DiskFailed               1   a file cannot be written
FoldserveError
└── ExportError
    ├── CannotLoad           3   the file is not a model, or not one that can be read safely
    ├── Refused              4   the model cannot be exported safely; the message names the layer and the remedy
    │   └── NotFinite        4   a value inside the model is not finite
    └── VerificationFailed   5   an artifact does not answer as the model does (`report.verification_failed`)
        └── BatchDependent   4   the model itself does not: its answers depend on the batch
```
"""

from foldserve_contract.errors import FoldserveError


class ExportError(FoldserveError):
    """The model was not exported; nothing was published."""

    exit_code = 1


class DiskFailed(OSError):
    """A file cannot be written, by the word of a library that has errors of its own for it."""


class CannotLoad(ExportError):
    """The file is not a Keras model, or not one that can be read safely."""

    exit_code = 3


class Refused(ExportError):
    """The model cannot be exported safely; the message names the layer and the reason."""

    exit_code = 4


class NotFinite(Refused):
    """A value inside the model is NaN or infinite, so that nothing can be computed from it."""
