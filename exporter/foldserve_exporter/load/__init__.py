"""Model files of Keras 2 and 3 to Keras 3 models, without running code that came with the file."""
