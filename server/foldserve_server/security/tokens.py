"""Bearer tokens of `--tokens-file`: each is stored by its SHA-256, with the rights it grants.

```toml
[[token]]
name = "dashboard"                    # for the log
sha256 = "9f86d081…"                  # printf %s "$TOKEN" | sha256sum
models = ["flowers", "digits"]        # or ["*"]

[[token]]
name = "deployment"
sha256 = "60303ae2…"
models = ["*"]
admin = true                          # may change what is served
```
"""

import hashlib
import hmac
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..context.rights import Rights
from ..errors import CannotStart, Unauthenticated

_KEYS = {"name", "sha256", "models", "admin"}
_EVERY = "*"
_SCHEME = "bearer"


@dataclass(frozen=True, slots=True)
class Token:
    """A secret, stored only as its SHA-256, and the rights it grants."""

    sha256: bytes
    rights: Rights


class TokenAuthenticator:
    """Maps a caller's token to the rights of its holder."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tuple(tokens)

    @property
    def holders(self) -> list[str]:
        """The names of the tokens' holders."""
        return [token.rights.holder for token in self._tokens]

    def replace_with(self, other: "TokenAuthenticator") -> bool:
        """Replaces all tokens by the other's; returns False where they are the same."""
        before, self._tokens = self._tokens, other._tokens
        return before != self._tokens

    def authenticate(self, authorization: str | None) -> Rights:
        """The rights that belong to an `authorization` header; the search takes the same time for every token.

        Raises:
            Unauthenticated: The header is missing, or its token is not in the file.
        """
        scheme, _, secret = (authorization or "").partition(" ")
        digest = hashlib.sha256(secret.strip().encode(errors="replace")).digest()
        matches = [token for token in self._tokens if hmac.compare_digest(token.sha256, digest)]
        if scheme.lower() != _SCHEME or not matches:
            raise Unauthenticated("send a token that this server knows as the header `authorization: Bearer TOKEN`")
        return matches[0].rights


def read_tokens(path: Path) -> TokenAuthenticator:
    """Reads the tokens of a file.

    Raises:
        CannotStart: The file cannot be read, or is not valid.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CannotStart(f"--tokens-file: {path} cannot be read: {error}") from error
    try:
        return TokenAuthenticator(_tokens(content))
    except ValueError as error:
        raise CannotStart(f"--tokens-file: {path}: {error}") from error


def _tokens(content: dict[str, Any]) -> list[Token]:
    entries = content.get("token")
    if content.keys() != {"token"} or not isinstance(entries, list) or not entries:
        raise ValueError(f"expected [[token]] tables and nothing else, received {sorted(content)}")
    tokens = [_token(entry) for entry in entries]
    if len({token.sha256 for token in tokens}) < len(tokens):
        raise ValueError("two tokens have the same sha256")
    return tokens


def _token(entry: Any) -> Token:
    if not isinstance(entry, dict) or not entry.keys() <= _KEYS or not {"name", "sha256", "models"} <= entry.keys():
        raise ValueError(f"a token has name, sha256, models and perhaps admin, received {entry!r:.200}")
    name, models, admin = entry["name"], entry["models"], entry.get("admin", False)
    if not isinstance(name, str) or not name or not isinstance(admin, bool):
        raise ValueError(f"name must be a text and admin true or false, received {entry!r:.200}")
    if not isinstance(models, list) or not models or not all(isinstance(model, str) and model for model in models):
        raise ValueError(f'token {name!r}: models must be a list of names, or ["*"], received {models!r}')
    return Token(_digest(name, entry["sha256"]), Rights(name, None if _EVERY in models else frozenset(models), admin))


def _digest(name: str, text: Any) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except (TypeError, ValueError):
        digest = b""
    if len(digest) != 32:
        raise ValueError(f"token {name!r}: sha256 must be 64 hexadecimal digits (the digest, never the token itself)")
    return digest
