"""Who may ask for what.

Whoever lets a request in says whose it is (`enter`); whoever hands out a model or changes what is served asks whether
that is allowed. What the server does on its own account is not bounded.
"""

import hashlib
import hmac
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from .errors import Forbidden, Unauthenticated

_SCHEME = "bearer"


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


EVERYTHING = Rights("anybody", None, True)
_current: ContextVar[Rights] = ContextVar("rights", default=EVERYTHING)


def current() -> Rights:
    """The rights of whoever is being answered."""
    return _current.get()


def enter(rights: Rights) -> None:
    """From here on, this task and those it starts answer somebody with these rights."""
    _current.set(rights)


def require_model(name: str) -> None:
    """Raises Forbidden unless the model may be asked for, whether or not there is one of that name."""
    if not current().allows(name):
        raise Forbidden(f"this token gives no right to model {name!r}")


def require_admin() -> None:
    """Raises Forbidden unless what is served may be changed."""
    if not current().admin:
        raise Forbidden("this token gives no right to change what is served")


@dataclass(frozen=True, slots=True)
class Token:
    """A secret of which only the SHA-256 is known, and what it gives a right to."""

    sha256: bytes
    rights: Rights


class Access:
    """Tells by a token who asks."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tuple(tokens)

    @property
    def holders(self) -> list[str]:
        """Whose tokens are known."""
        return [token.rights.holder for token in self._tokens]

    def become(self, other: "Access") -> bool:
        """From now on the other's tokens are known, and no more; whether that changes anything."""
        before, self._tokens = self._tokens, other._tokens
        return before != self._tokens

    def identify(self, authorization: str | None) -> Rights:
        """The rights that belong to an `authorization` header; it takes as long whichever token it is.

        Raises:
            Unauthenticated: There is no header, or no such token.
        """
        scheme, _, secret = (authorization or "").partition(" ")
        digest = hashlib.sha256(secret.strip().encode(errors="replace")).digest()
        found = [token for token in self._tokens if hmac.compare_digest(token.sha256, digest)]
        if scheme.lower() != _SCHEME or not found:
            raise Unauthenticated("send a token that this server knows as the header `authorization: Bearer TOKEN`")
        return found[0].rights
