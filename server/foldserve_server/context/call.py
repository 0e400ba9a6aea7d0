"""The call that is being answered, for logs, traces and metrics."""

import secrets
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

REQUEST_ID = "x-request-id"
_LONGEST_ID = 128


@dataclass(slots=True)
class Call:
    """One call as its protocol tells of it; nothing is read before somebody wants it.

    Attributes:
        method: What is called.
        headers: Gives the caller's headers, with names in lower case.
        api: What is asked for in a word, as metrics have it: `Predict`, `classify`; empty for what is not inference.
        model: The model it names; empty before that is known, and where it names none.
    """

    method: str
    headers: Callable[[], Mapping[str, str]]
    api: str = ""
    model: str = ""
    _id: str = field(default="")

    @property
    def id(self) -> str:
        """What the caller calls it (`x-request-id`), or a random word."""
        if not self._id:
            given = self.headers().get(REQUEST_ID, "")[:_LONGEST_ID]
            self._id = given if given.isprintable() and given else secrets.token_hex(8)
        return self._id


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def current_call() -> Call | None:
    """The call that this task answers; None where it answers none."""
    return _current.get()


def current_api() -> str:
    """What this task is asked for; see `Call.api`."""
    call = _current.get()
    return "" if call is None else call.api


def set_call(call: Call) -> None:
    """From here on, this task and those it starts answer this call."""
    _current.set(call)
