"""Options of the transports: encryption, tokens, limits."""

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
    """Options of both the gRPC and the HTTP server.

    Attributes:
        tls: Key and certificate; None for unencrypted connections.
        access: The tokens and their rights; None where every caller may ask for everything.
        tls_file: The file that `tls` was read from.
        tokens_file: The file that `access` was read from.
        socket_path: A Unix socket that gRPC listens on too.
        max_message_bytes: Most bytes of a request.
        max_inflight_bytes: Most bytes of all requests that are being answered.
        max_connection_age_s: After so long gRPC asks a caller to connect again; None for never.
        shared_port: Whether other processes of this server listen on the port too.
        max_concurrent_streams: Most calls at once on one connection of gRPC; None for its own bound.
        tensor_content: Whether Predict answers in `tensor_content`, rather than in the typed fields.
        cors: Whether pages from elsewhere may ask REST.
        metrics_path: The path of the metrics over HTTP; None for none.
        channel_arguments: Further channel arguments of the gRPC server.
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
