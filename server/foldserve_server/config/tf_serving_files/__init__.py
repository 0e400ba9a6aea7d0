"""TensorFlow Serving's configuration files: protocol buffers in text format."""
