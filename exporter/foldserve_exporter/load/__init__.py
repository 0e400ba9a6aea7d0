"""Loading of model files of Keras 2 and 3 as Keras 3 models, without running code that came with the file."""
