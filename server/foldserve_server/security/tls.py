"""How connections are encrypted, and whether callers must show a certificate."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tls:
    """The server's identity, as PEM.

    Attributes:
        key: The private key.
        certificate: Its certificate, and those that lead to a known authority.
        authority: The certificates of those who may vouch for callers; empty for none.
        client_verify: Whether a caller must show a certificate.
    """

    key: bytes = field(repr=False)
    certificate: bytes
    authority: bytes = b""
    client_verify: bool = False

    def context(self) -> ssl.SSLContext:
        """For servers that are made in Python.

        Raises:
            ValueError: Something is missing; key, certificate or authority is not PEM; or they do not belong together.
            OSError: There is no descriptor left.
        """
        if not self.key or not self.certificate:
            raise ValueError("server_key and server_cert must both be given, as PEM")
        if self.client_verify and not self.authority:
            raise ValueError("client_verify needs custom_ca: the authority that vouches for callers")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with (
            _as_file(self.certificate) as certificate,
            _as_file(self.key) as key,
            _told("server_key and server_cert must be a private key and its certificate, as PEM"),
        ):
            context.load_cert_chain(certificate, key, _no_password)
        if self.authority:
            with _told("custom_ca must be certificates, as PEM"):
                context.load_verify_locations(cadata=self.authority.decode("ascii"))
        context.verify_mode = ssl.CERT_REQUIRED if self.client_verify else ssl.CERT_NONE
        if self.client_verify:  # a caller who comes again is looked at again: who vouched for it may be gone
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        return context


class LiveTls:
    """What new connections are encrypted with: it may change while the server runs.

    Attributes:
        now: What it is.
    """

    def __init__(self, first: Tls) -> None:
        self.now = first
        self._context: ssl.SSLContext | None = None

    def become(self, tls: Tls) -> bool:
        """Puts another identity in the place of this one; whether it is another.

        Raises:
            ValueError: It cannot be used, or whether callers must show a certificate would change.
            OSError: As `Tls.context`.
        """
        if tls == self.now:
            return False
        if tls.client_verify != self.now.client_verify:
            raise ValueError("client_verify cannot change while the server runs; restart it")
        self._context = tls.context()
        self.now = tls
        return True

    def context(self) -> ssl.SSLContext:
        """For servers that are made in Python: each handshake is done with what is in force then."""
        first = self.now.context()
        self._context = first
        first.sni_callback = self._choose
        return first

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if self._context is not None:
            connection.context = self._context


def _no_password() -> str:
    """Asked for by an encrypted key: without it, OpenSSL would ask whoever sits at the terminal, and wait."""
    raise ValueError("server_key is encrypted; give a key without a password (openssl pkey -in KEY)")


@contextmanager
def _told(expected: str) -> Iterator[None]:
    try:
        yield
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ValueError(f"{expected}: {getattr(error, 'reason', None) or error}") from error


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A file in memory: `ssl` takes keys from files alone."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
