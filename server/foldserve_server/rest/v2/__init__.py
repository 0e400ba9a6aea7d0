"""The Open Inference Protocol v2 over HTTP, as Triton offers it."""
