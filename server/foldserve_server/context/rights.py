"""The rights of the current caller.

The listener that admits a request sets them (`set_rights`); code that gives access to a model, or changes the set of
served models, checks them. Work that the server does of its own accord has all rights.
"""

from contextvars import ContextVar
from dataclasses import dataclass

from ..errors import Forbidden


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights that a token grants.

    Attributes:
        holder: The token's name, for the log.
        models: The models that may be used; None for every model.
        admin: True if the set of served models may be changed.
    """

    holder: str
    models: frozenset[str] | None = None
    admin: bool = False

    def allows(self, model: str) -> bool:
        """Tests whether the model may be used."""
        return self.models is None or model in self.models


ALL_RIGHTS = Rights("anybody", None, True)
_current: ContextVar[Rights] = ContextVar("rights", default=ALL_RIGHTS)


def current_rights() -> Rights:
    """The rights of the caller whose request this task answers."""
    return _current.get()


def set_rights(rights: Rights) -> None:
    """Sets the rights for this task and the tasks it starts from now on."""
    _current.set(rights)


def require_model(name: str) -> None:
    """Raises Forbidden unless the model may be used, whether or not a model of that name exists."""
    if not current_rights().allows(name):
        raise Forbidden(f"this token gives no right to model {name!r}")


def require_admin() -> None:
    """Raises Forbidden unless the set of served models may be changed."""
    if not current_rights().admin:
        raise Forbidden("this token gives no right to change what is served")
