"""HTTP: TensorFlow Serving's REST interface, the Open Inference Protocol, metrics, and a web page."""
