"""The Open Inference Protocol, as far as it is the same over gRPC and HTTP."""
