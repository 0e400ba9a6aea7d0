"""Errors that end `predict-model` early.

```
FoldserveError
└── PredictError
    ├── UsageError      arguments or inputs are not valid; exit status 2
    └── ServerFailed    the server answered, but the run cannot continue with its answer; exit status 3
```
"""

from ..errors import FoldserveError


class PredictError(FoldserveError):
    """A run cannot begin or continue."""


class UsageError(PredictError):
    """Arguments or inputs are not valid; the message has a remedy."""


class ServerFailed(PredictError):
    """The run cannot continue with the server's answer; finished rows are kept and the same command resumes."""
