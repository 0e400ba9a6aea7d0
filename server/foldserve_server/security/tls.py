"""TLS: the server's key and certificate, client certificates, and their replacement while the server runs."""

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
        certificate: The key's certificate, and the chain that leads to a trusted authority.
        authority: The certificates of the authorities that sign callers' certificates; empty for none.
        client_verify: True if a caller must show a certificate.
    """

    key: bytes = field(repr=False)
    certificate: bytes
    authority: bytes = b""
    client_verify: bool = False

    def context(self) -> ssl.SSLContext:
        """Builds the `ssl` context of a server that is written in Python.

        Raises:
            ValueError: Key, certificate or authority is missing or not PEM, or they do not belong together.
            OSError: The process has no file descriptor left.
        """
        if not self.key or not self.certificate:
            raise ValueError("server_key and server_cert must both be given, as PEM")
        if self.client_verify and not self.authority:
            raise ValueError("client_verify needs custom_ca: the authority that vouches for callers")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with (
            _as_file(self.certificate) as certificate,
            _as_file(self.key) as key,
            _explained("server_key and server_cert must be a private key and its certificate, as PEM"),
        ):
            context.load_cert_chain(certificate, key, _no_password)
        if self.authority:
            with _explained("custom_ca must be certificates, as PEM"):
                context.load_verify_locations(cadata=self.authority.decode("ascii"))
        context.verify_mode = ssl.CERT_REQUIRED if self.client_verify else ssl.CERT_NONE
        if self.client_verify:  # no resumed sessions: the authority of a caller's certificate may have been removed
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        return context


class LiveTls:
    """The identity used for new connections, which can be replaced while the server runs.

    Attributes:
        current: The identity in force.
    """

    def __init__(self, first: Tls) -> None:
        self.current = first
        self._context: ssl.SSLContext | None = None

    def replace_with(self, tls: Tls) -> bool:
        """Replaces the identity; returns False where the new one is the same.

        Raises:
            ValueError: The new identity cannot be used, or differs in `client_verify`.
            OSError: As `Tls.context`.
        """
        if tls == self.current:
            return False
        if tls.client_verify != self.current.client_verify:
            raise ValueError("client_verify cannot change while the server runs; restart it")
        self._context = tls.context()
        self.current = tls
        return True

    def context(self) -> ssl.SSLContext:
        """Builds the `ssl` context of a server written in Python; every handshake uses the identity in force then."""
        first = self.current.context()
        self._context = first
        first.sni_callback = self._use_current
        return first

    def _use_current(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if self._context is not None:
            connection.context = self._context


def _no_password() -> str:
    """Refuses an encrypted key: without this callback, OpenSSL would ask for a password at the terminal, and wait."""
    raise ValueError("server_key is encrypted; give a key without a password (openssl pkey -in KEY)")


@contextmanager
def _explained(expected: str) -> Iterator[None]:
    try:
        yield
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ValueError(f"{expected}: {getattr(error, 'reason', None) or error}") from error


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Gives the path of a file in memory that holds the content: `ssl` takes keys from files alone."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
