"""Methods of Triton that this server does not offer, and the alternatives."""

from ..errors import NotOffered

SHARED_MEMORY = "send tensors in the request"
TRACES = "traces are set up where the server is started, by OpenTelemetry's OTEL_EXPORTER_OTLP_ENDPOINT"
LOGGING = "the log is set up where the server is started, by --log-level and --log-format"
INSTEAD = {
    "SystemSharedMemoryRegister": SHARED_MEMORY,
    "CudaSharedMemoryRegister": SHARED_MEMORY,
    "TraceSetting": TRACES,
    "LogSettings": LOGGING,
}


def not_offered(what: str, instead: str) -> NotOffered:
    """The error for a method that is not offered."""
    return NotOffered(f"{what} is not offered by this server: {instead}")
