"""TensorFlow Serving's gRPC services, health and reflection over the core."""
