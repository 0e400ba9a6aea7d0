"""gRPC's server credentials, which follow the server's identity as it is replaced."""

from typing import Any

import grpc

from ..security.tls import LiveTls, Tls


def live_credentials(tls: LiveTls) -> Any:
    """Server credentials that gRPC fetches anew at every handshake."""
    latest = tls.current

    def changed_configuration() -> Any:
        """The configuration for this handshake; None where it is the same as for the last one."""
        nonlocal latest
        if tls.current is latest:
            return None
        latest = tls.current
        return _configuration(latest)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(latest), changed_configuration, require_client_authentication=latest.client_verify
    )


def _configuration(tls: Tls) -> Any:
    return grpc.ssl_server_certificate_configuration([(tls.key, tls.certificate)], tls.authority or None)
