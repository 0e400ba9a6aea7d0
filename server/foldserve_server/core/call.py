"""The call that is being answered, for logs and traces."""

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
    """

    method: str
    headers: Callable[[], Mapping[str, str]]
    _id: str = field(default="")

    @property
    def id(self) -> str:
        """What the caller calls it (`x-request-id`), or a random word."""
        if not self._id:
            given = self.headers().get(REQUEST_ID, "")[:_LONGEST_ID]
            self._id = given if given.isprintable() and given else secrets.token_hex(8)
        return self._id


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def current() -> Call | None:
    """The call that this task answers; None where it answers none."""
    return _current.get()


def enter(call: Call) -> None:
    """From here on, this task and those it starts answer this call."""
    _current.set(call)
