"""The command `predict-model`: predictions of a served model for a whole data set."""
