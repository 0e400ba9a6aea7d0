"""`predict-model`: a whole data set through a served model."""
