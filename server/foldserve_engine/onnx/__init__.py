"""ONNX Runtime: sessions, buffers, devices."""
