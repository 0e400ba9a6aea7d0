"""Model files to Keras 3 models, without running code that came with the file."""
