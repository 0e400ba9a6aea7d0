"""Administration requests from a front end to the supervisor, and the replies."""

from collections.abc import Mapping
from dataclasses import dataclass

from .. import errors
from ..context.rights import Rights
from ..errors import EngineFailed, ReloadFailed, ServingError, Unavailable
from ..models.model_config import ModelConfig


@dataclass(frozen=True, slots=True)
class ReloadRequest:
    """See `models.admin.Admin.reload`."""

    models: tuple[ModelConfig, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """See `models.admin.Admin.load`."""

    name: str


@dataclass(frozen=True, slots=True)
class UnloadRequest:
    """See `models.admin.Admin.unload`."""

    name: str


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """A request of a caller that the supervisor carries out.

    Attributes:
        number: Identifies the request among those of its front end.
        rights: The caller's rights.
    """

    number: int
    request: ReloadRequest | LoadRequest | UnloadRequest
    rights: Rights


@dataclass(frozen=True, slots=True)
class CancelAdminRequest:
    """The caller of that request has left."""

    number: int


@dataclass(frozen=True, slots=True)
class AdminReply:
    """The outcome of a request.

    Attributes:
        error: The name of the error; None where there is none.
        message: Its text.
        reasons: Of a `ReloadFailed`.
        retry_after_ms: Of an `Unavailable`.
    """

    number: int
    error: str | None = None
    message: str = ""
    reasons: Mapping[str, str] | None = None
    retry_after_ms: int | None = None

    @classmethod
    def failed(cls, number: int, error: ServingError) -> "AdminReply":
        """The reply to a request that failed."""
        return cls(
            number,
            type(error).__name__,
            str(error),
            error.reasons if isinstance(error, ReloadFailed) else None,
            error.retry_after_ms if isinstance(error, Unavailable) else None,
        )

    @property
    def exception(self) -> ServingError | None:
        """The error that was raised; None where there was none."""
        if self.error is None:
            return None
        if self.reasons is not None:
            return ReloadFailed(self.reasons)
        kind = getattr(errors, self.error, EngineFailed)
        if issubclass(kind, Unavailable):
            return kind(self.message, self.retry_after_ms)
        return kind(self.message) if issubclass(kind, ServingError) else EngineFailed(self.message)
