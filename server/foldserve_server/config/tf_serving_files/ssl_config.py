"""TensorFlow Serving's SSLConfig: the server's key and certificate, and the callers' authority."""

from pathlib import Path

from ...errors import CannotStart
from ...security.tls import Tls
from .message_types import BOOL, STRING, declare
from .text_format import read

SSLConfig = declare(
    "SSLConfig",
    {"server_key": (1, STRING), "server_cert": (2, STRING), "custom_ca": (3, STRING), "client_verify": (4, BOOL)},
)
_FLAG = "ssl_config_file"


def read_tls(path: Path) -> Tls:
    """Reads a `--ssl_config_file`, which holds key and certificates as PEM.

    Raises:
        CannotStart: It cannot be read, or key and certificate cannot be used.
    """
    message = read(_FLAG, path, SSLConfig)
    tls = Tls(
        message.server_key.encode(), message.server_cert.encode(), message.custom_ca.encode(), message.client_verify
    )
    try:
        tls.context()
    except (OSError, ValueError) as error:
        raise CannotStart(f"--{_FLAG}: {path}: {error}") from error
    return tls
