"""SavedModel, ONNX, warmup records and Triton's configuration, all from one folded model."""
