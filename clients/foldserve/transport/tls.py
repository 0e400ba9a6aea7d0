"""TLS from certificate files."""

from dataclasses import dataclass
from pathlib import Path

import grpc

from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """TLS from files in PEM format.

    Attributes:
        ca: Certificates of the authorities to trust; None for those that the system trusts.
        certificate: The client's own certificate chain, for servers that require one (mTLS).
        key: The private key of that certificate.
        server_name: The name expected in the server's certificate, if other than the address.
    """

    ca: Path | str | None = None
    certificate: Path | str | None = None
    key: Path | str | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ConfigurationError("a certificate needs its key, and a key its certificate; give both or neither")

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files into credentials for grpc.

        Raises:
            ConfigurationError: A file cannot be read.
        """
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.certificate))


def _read(path: Path | str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
