"""Settings of gRPC channels: address, encryption, token and gRPC's options."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from ..errors import ConfigurationError
from .tls import TlsFiles

Token: TypeAlias = str | Callable[[], str]
Metadata: TypeAlias = tuple[tuple[str, str], ...]

_ADDRESS = re.compile(r"(?P<scheme>grpcs?://)?(?P<host>\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):(?P<port>[0-9]{1,5})/?")
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),  # otherwise channels to one address share one connection
)


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """Settings of the channels to one server.

    Attributes:
        address: `host:port` or `unix:path`, as gRPC takes it.
        credentials: Credentials for encryption; None for plain text.
        options: gRPC's channel arguments.
        token: Sent as `authorization: Bearer …`; a callable is called for each call.
        channels: Number of connections, used in turn.
    """

    address: str
    credentials: grpc.ChannelCredentials | None
    options: tuple[tuple[str, int | str], ...]
    token: Token | None
    channels: int

    def metadata(self) -> Metadata:
        """The metadata to send with a call."""
        if self.token is None:
            return ()
        token = self.token if isinstance(self.token, str) else self.token()
        return (("authorization", f"Bearer {token}"),)


def channel_settings(
    target: str,
    *,
    tls: TlsFiles | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    token: Token | None = None,
    channels: int = 1,
) -> ChannelSettings:
    """Validates the arguments of a client and makes the settings.

    Args:
        target: `HOST:PORT`, `grpc://HOST:PORT`, `grpcs://HOST:PORT` (TLS) or `unix:PATH`.
        tls: Encryption with certificates from files.
        credentials: Encryption with credentials made by grpc, instead of `tls`.
        token: A bearer token; refused if it would be sent to another machine without encryption.
        channels: Number of connections.

    Raises:
        ConfigurationError: The arguments contradict one another, or the target is not valid.
    """
    if channels < 1:
        raise ConfigurationError(f"channels must be at least 1, received {channels}")
    if tls is not None and credentials is not None:
        raise ConfigurationError("tls and credentials are alternatives; give one of them")
    secure, address = parse_target(target)
    # grpcs:// alone trusts the authorities of the system
    if tls is None and credentials is None and secure:
        tls = TlsFiles()
    options: tuple[tuple[str, int | str], ...] = _OPTIONS
    if tls is not None:
        credentials = tls.credentials()
        options += (("grpc.ssl_target_name_override", tls.server_name),) if tls.server_name else ()
    if token is not None and credentials is None and not _is_local(address):
        raise ConfigurationError(f"a token to {address} would travel in plain text; use tls, or grpcs://{address}")
    return ChannelSettings(address, credentials, options, token, channels)


def parse_target(target: str) -> tuple[bool, str]:
    """Parses a target: True if it asks for TLS, and its address as gRPC takes it.

    Raises:
        ConfigurationError: It is not a target.
    """
    if target.startswith("unix:"):
        return False, target
    match = _ADDRESS.fullmatch(target)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise ConfigurationError(
            f"expected a target such as localhost:8500, grpcs://models.example.org:443 or unix:/run/serve.sock,"
            f" received {target!r}"
        )
    return match["scheme"] == "grpcs://", f"{match['host']}:{match['port']}"


def _is_local(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
