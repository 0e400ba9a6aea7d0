"""What ends `predict-model` before its time.

```
FoldserveError
└── PredictError
    ├── UsageError      these words or these inputs cannot work; exit status 2
    └── ServerFailed    the server answered, but not so that the run can go on; exit status 3
```
"""

from ..errors import FoldserveError


class PredictError(FoldserveError):
    """A run cannot begin or go on."""


class UsageError(PredictError):
    """What was asked for cannot be done; says what to do instead."""


class ServerFailed(PredictError):
    """The server cannot carry the run on; what is done is kept and the same command resumes."""
