"""The inputs a model is verified on: the user's samples, or synthetic ones where there are none."""
