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
            ValueError: Something is missing.
            OSError: Key, certificate or authority is no PEM, or they do not belong together.
        """
        if not self.key or not self.certificate:
            raise ValueError("server_key and server_cert must both be given, as PEM")
        if self.client_verify and not self.authority:
            raise ValueError("client_verify needs custom_ca: the authority that vouches for callers")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with _as_file(self.certificate) as certificate, _as_file(self.key) as key:
            context.load_cert_chain(certificate, key)
        if self.authority:
            context.load_verify_locations(cadata=self.authority.decode("ascii"))
        context.verify_mode = ssl.CERT_REQUIRED if self.client_verify else ssl.CERT_NONE
        return context


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A file in memory: `ssl` takes keys from files alone."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
