"""Contract of exporter, server and clients: the bundle, tensors on the wire, and errors."""
