"""Who may ask for what.

Whoever lets a request in says whose it is (`enter`); whoever hands out a model or changes what is served asks whether
that is allowed. What the server does on its own account is not bounded.
"""

from contextvars import ContextVar
from dataclasses import dataclass

from ..errors import Forbidden


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may ask for.

    Attributes:
        holder: Who, for the log.
        models: The models; None for every one.
        admin: Whether what is served may be changed.
    """

    holder: str
    models: frozenset[str] | None = None
    admin: bool = False

    def allows(self, model: str) -> bool:
        """Whether the model may be asked for."""
        return self.models is None or model in self.models


ALL_RIGHTS = Rights("anybody", None, True)
_current: ContextVar[Rights] = ContextVar("rights", default=ALL_RIGHTS)


def current_rights() -> Rights:
    """The rights of whoever is being answered."""
    return _current.get()


def set_rights(rights: Rights) -> None:
    """From here on, this task and those it starts answer somebody with these rights."""
    _current.set(rights)


def require_model(name: str) -> None:
    """Raises Forbidden unless the model may be asked for, whether or not there is one of that name."""
    if not current_rights().allows(name):
        raise Forbidden(f"this token gives no right to model {name!r}")


def require_admin() -> None:
    """Raises Forbidden unless what is served may be changed."""
    if not current_rights().admin:
        raise Forbidden("this token gives no right to change what is served")
