"""What gRPC shows new connections, as it is at that moment."""

from typing import Any

import grpc

from ..security.tls import LiveTls, Tls


def live_credentials(tls: LiveTls) -> Any:
    """Credentials for which gRPC asks again at every handshake."""
    shown = tls.now

    def newer() -> Any:
        """What is to be shown from now on; None where that is what was shown last."""
        nonlocal shown
        if tls.now is shown:
            return None
        shown = tls.now
        return _configuration(shown)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown), newer, require_client_authentication=shown.client_verify
    )


def _configuration(tls: Tls) -> Any:
    return grpc.ssl_server_certificate_configuration([(tls.key, tls.certificate)], tls.authority or None)
