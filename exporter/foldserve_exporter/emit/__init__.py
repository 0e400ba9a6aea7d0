"""Writers of a bundle's artifacts: SavedModel, ONNX, warmup records and Triton's configuration."""
