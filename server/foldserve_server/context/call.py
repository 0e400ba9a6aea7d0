"""The current call, for logs, traces and metrics."""

import secrets
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

REQUEST_ID = "x-request-id"
_LONGEST_ID = 128


@dataclass(slots=True)
class Call:
    """Call as its protocol describes it; headers are read when they are first needed.

    Attributes:
        method: The method or path that is called.
        headers: Gives the caller's headers, with names in lower case.
        api: The kind of inference in a word, as in the metrics: `Predict`, `classify`; empty for other calls.
        model: The model that the call names; empty until it is read, and where the call names none.
    """

    method: str
    headers: Callable[[], Mapping[str, str]]
    api: str = ""
    model: str = ""
    _id: str = field(default="")

    @property
    def id(self) -> str:
        """The caller's own id (`x-request-id`), or a random one."""
        if not self._id:
            header = self.headers().get(REQUEST_ID, "")[:_LONGEST_ID]
            self._id = header if header.isprintable() and header else secrets.token_hex(8)
        return self._id


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def current_call() -> Call | None:
    """The call that this task answers; None outside of a call."""
    return _current.get()


def current_api() -> str:
    """The `Call.api` of the current call; empty outside of a call."""
    call = _current.get()
    return "" if call is None else call.api


def set_call(call: Call) -> None:
    """Sets the current call for this task and the tasks it starts from now on."""
    _current.set(call)
