"""What exporter, server and clients agree on: the bundle, tensors on the wire, and errors."""
