"""How callers reach the server, and how much of it they may take."""

from dataclasses import dataclass
from pathlib import Path

from ..security.tls import LiveTls
from ..security.tokens import TokenAuthenticator

METRICS = "/monitoring/prometheus/metrics"  # TensorFlow Serving's
TRITON_METRICS = "/metrics"  # on a port of its own there
MAX_MESSAGE_BYTES = 256 << 20
CONNECTION_AGE_S = 300.0


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """What both servers keep to.

    Attributes:
        tls: How connections are encrypted; None for not at all.
        access: Who may ask for what; None for anybody anything.
        tls_file: Where `tls` was read from.
        tokens_file: Where `access` was read from.
        socket_path: A Unix socket that gRPC listens on too.
        max_message_bytes: Most bytes of a request.
        max_inflight_bytes: Most bytes of all requests that are being answered.
        max_connection_age_s: After so long gRPC asks a caller to connect again; None for never.
        shared_port: Whether other processes of this server listen on the port too.
        max_concurrent_streams: Most calls at once on one connection of gRPC; None for its own bound.
        tensor_content: Whether Predict answers in `tensor_content`, rather than in the typed fields.
        cors: Whether pages from elsewhere may ask REST.
        metrics_path: Where Prometheus finds metrics over HTTP; None for nowhere.
        channel_arguments: What gRPC's server is told besides.
        max_concurrent_rpcs: Most calls that are answered at once, of gRPC and of REST each; None for any number.
    """

    tls: LiveTls | None = None
    access: TokenAuthenticator | None = None
    tls_file: Path | None = None
    tokens_file: Path | None = None
    socket_path: Path | None = None
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_inflight_bytes: int = 1 << 30
    max_concurrent_streams: int | None = None
    max_concurrent_rpcs: int | None = None
    tensor_content: bool = False
    cors: bool = False
    metrics_path: str | None = METRICS
    channel_arguments: tuple[tuple[str, int | str], ...] = ()
    max_connection_age_s: float | None = None
    shared_port: bool = False
