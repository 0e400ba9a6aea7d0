"""Errors of an engine.

```
FoldserveError
└── EngineError
    ├── RuntimeMissing        the library that would run the artifact is not installed
    ├── RuntimeConflict       onnxruntime and onnxruntime-gpu are both installed
    ├── DeviceNotFound        the device asked for is not there; nothing else is taken instead
    ├── ArtifactUnusable      the library refuses the artifact
    ├── SignatureMismatch     the artifact does not have the names, dtypes and shapes of the manifest
    ├── PrecisionNotPromised  the bundle promises nothing for the precision that was asked for
    ├── WarmupFailed          a warmup record cannot be read or run
    ├── RunFailed             the engine could not compute a batch
    └── EngineLost            the engine cannot compute anything any more, and another process must take its place
```
"""

from foldserve_contract.errors import FoldserveError


class EngineError(FoldserveError):
    """An engine cannot be made, or cannot compute."""


class RuntimeMissing(EngineError):
    """The library that would run the artifact is not installed."""


class RuntimeConflict(EngineError):
    """Two libraries are installed that overwrite each other's files."""


class DeviceNotFound(EngineError):
    """The device asked for is not there."""


class ArtifactUnusable(EngineError):
    """The library refuses the artifact."""


class SignatureMismatch(EngineError):
    """The artifact's names, dtypes or shapes are not the manifest's."""


class PrecisionNotPromised(EngineError):
    """The bundle promises nothing for the precision that was asked for."""


class WarmupFailed(EngineError):
    """A warmup record cannot be read or run, or there are too many."""


class RunFailed(EngineError):
    """A batch could not be computed."""


class EngineLost(EngineError):
    """The process cannot compute anything any more: it must end, and another take its place."""
