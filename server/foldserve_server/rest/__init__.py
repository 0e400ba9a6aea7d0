"""REST as TensorFlow Serving has it, and a page for people."""
